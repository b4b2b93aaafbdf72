"""How the schema of data is inferred, with the types that MLflow gives the same data.

numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput, MissingExtra
from ratoon.models.foreign import is_sparse, native, plain_column
from ratoon.models.schema import ColSpec, Schema, TensorSpec
from ratoon.models.value_types import Unlike, ValueType, common_type, fixed_type, is_missing, type_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

# pandas.api.types.infer_dtype -> type of a column
OBJECT_TYPES = {
    "string": "string",
    "bytes": "binary",
    "boolean": "boolean",
    "integer": "long",
    "floating": "double",
    "mixed-integer-float": "double",
    "decimal": "double",
    "datetime": "datetime",
    "datetime64": "datetime",
    "date": "datetime",
    "empty": "any",
}
_FLEXIBLE = {"U": "str", "S": "bytes"}
_LONG = 2**63


def infer_schema(data: Any) -> Schema:
    """Describe data; arrays become tensors, everything else columns.

    A dict of lists is a table; a dict with a value that is no list is one row, as is a single value.

    Raises:
        InvalidInput: A column holds values that no type stands for, or the data has no columns at all.
    """
    np, pd = _libraries()
    data = native(data)
    if isinstance(data, np.ndarray) or is_sparse(data):
        return (_tensor(data, None),)
    if isinstance(data, Mapping) and data:
        data = {name: native(value) for name, value in data.items()}
        if all(isinstance(value, np.ndarray) for value in data.values()):
            return tuple(_tensor(value, str(name)) for name, value in data.items())
    if isinstance(data, pd.DataFrame):
        return _columns(data)
    if isinstance(data, pd.Series):
        return (_column(data, data.name),)
    return _plain(pd, data)


def column_type(column: pd.Series) -> str | None:
    """The type of a column, or None if no type stands for its values, or they are made of values themselves."""
    from pandas.api.types import infer_dtype

    dtype: Any = column.dtype
    if dtype.kind != "O":
        return fixed_type(dtype.kind, dtype.itemsize)
    kind = infer_dtype(column, skipna=True)
    if kind == "categorical":
        return column_type(dtype.categories.to_series())
    return OBJECT_TYPES.get(kind)


def _plain(pd: Any, data: Any) -> Schema:
    """Describe what is made of Python's own values."""
    if isinstance(data, Mapping) and data:
        if all(isinstance(value, list | pd.Series) for value in data.values()):
            return _columns(pd.DataFrame({name: pd.Series(value, dtype=object) for name, value in data.items()}))
        return tuple(_value(value, _label(name)) for name, value in data.items())
    if isinstance(data, list) and data:
        if all(isinstance(record, Mapping) for record in data):
            # As objects, or pandas would turn the integers of a column with gaps into floats.
            return _columns(pd.DataFrame(data, dtype=object))
        return (_column(pd.Series(data, dtype=object), None),)
    if data is not None and not isinstance(data, Mapping | list | tuple):
        try:
            return (ColSpec(type=str(type_of(data)["type"])),)
        except Unlike:
            pass
    raise InvalidInput(
        f"data of type '{type(data).__name__}' has no columns to describe; give a DataFrame, a Series, an array, "
        "a dict of arrays, a dict of lists or a list of records, or the signature itself"
    )


def _columns(frame: pd.DataFrame) -> tuple[ColSpec, ...]:
    if not frame.columns.is_unique:
        refuse_duplicates(frame.columns)
    return tuple(_column(frame[name], name) for name in frame.columns)


def _column(column: pd.Series, name: Any) -> ColSpec:
    column = plain_column(column)
    kind = column_type(column)
    try:
        described: ValueType = common_type(column) if kind is None and column.dtype.kind == "O" else {"type": kind}
    except Unlike as error:
        raise _indescribable(name, str(error)) from error
    if described["type"] is None or (kind == "long" and column.dtype.kind == "O" and not _is_long(column)):
        raise _indescribable(name, str(column.dtype))
    required = name is None or not bool(column.isna().any())
    return _spec(described, None if name is None else _label(name), required)


def _value(value: Any, name: str | int) -> ColSpec:
    try:
        return _spec(type_of(value), name, not is_missing(value))
    except Unlike as error:
        raise _indescribable(name, str(error)) from error


def _spec(described: ValueType, name: str | int | None, required: bool) -> ColSpec:
    details = {key: value for key, value in described.items() if key != "type"}
    return ColSpec(type=described["type"], name=name, required=required, details=details)


def _label(name: Any) -> str | int:
    # Labels of a default header are numpy integers, which JSON does not know.
    return int(name) if hasattr(name, "__index__") else str(name)


def _is_long(column: pd.Series) -> bool:
    """Whether integers that are Python's own fit into 64 bits; categories do."""
    if str(column.dtype) == "category":
        return True
    present = column.dropna()
    return present.empty or (-_LONG <= int(present.min()) and int(present.max()) < _LONG)


def _indescribable(name: Any, what: str) -> InvalidInput:
    return InvalidInput(
        f"column {name!r} has values of a type that signatures cannot describe ({what}); "
        "convert it to numbers, strings or datetimes, or give the signature itself"
    )


def _tensor(array: np.ndarray[Any, Any], name: str | None) -> TensorSpec:
    if array.ndim == 0 or array.dtype.names:
        raise InvalidInput(
            f"array {name or 'of the data'!r} cannot be described (it has no axis or named fields); "
            "give an array of rows, or a DataFrame"
        )
    dtype = _FLEXIBLE.get(array.dtype.kind, array.dtype.name)
    return TensorSpec(dtype=dtype, shape=(-1, *array.shape[1:]), name=name)


def refuse_duplicates(names: Iterable[Any]) -> None:
    """Raise InvalidInput that names the first label that occurs twice."""
    seen = set()
    for name in names:
        if name in seen:
            raise InvalidInput(f"column {name!r} is given twice; rename or drop one of the two")
        seen.add(name)


def _libraries() -> tuple[Any, Any]:
    try:
        import numpy as np
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("the signature of a model", "sklearn", error.name or "pandas") from error
    return np, pd
