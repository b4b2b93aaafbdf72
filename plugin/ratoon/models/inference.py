"""How the schema of data is inferred, with the types that MLflow gives the same data.

numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput, MissingExtra
from ratoon.models.schema import ColSpec, Schema, TensorSpec

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
    "datetime": "datetime",
    "datetime64": "datetime",
    "date": "datetime",
    "empty": "any",
}
_FLEXIBLE = {"U": "str", "S": "bytes"}


def infer_schema(data: Any) -> Schema:
    """Describe data; arrays become tensors, everything else columns.

    Raises:
        InvalidInput: A column holds values that no type stands for, or the data has no columns at all.
    """
    np, pd = _libraries()
    if isinstance(data, np.ndarray):
        return (_tensor(data, None),)
    if isinstance(data, Mapping) and data and all(isinstance(value, np.ndarray) for value in data.values()):
        return tuple(_tensor(value, str(name)) for name, value in data.items())
    if isinstance(data, pd.DataFrame):
        return _columns(data)
    if isinstance(data, pd.Series):
        return (_column(data, data.name),)
    return _plain(pd, data)


def column_type(column: pd.Series) -> str | None:
    """The type of a column, or None if no type stands for its values."""
    from pandas.api.types import infer_dtype

    dtype: Any = column.dtype
    if dtype.kind != "O":
        return _fixed_type(dtype.kind, dtype.itemsize)
    kind = infer_dtype(column, skipna=True)
    if kind == "categorical":
        return column_type(dtype.categories.to_series())
    return OBJECT_TYPES.get(kind)


def _fixed_type(kind: str, size: int) -> str | None:
    # An unsigned integer needs the next wider signed type; 64 unsigned bits fit nowhere.
    if kind in "iu":
        needed = size + 1 if kind == "u" else size
        return "integer" if needed <= 4 else "long" if needed <= 8 else None
    if kind == "f":
        return "float" if size <= 4 else "double" if size <= 8 else None
    return {"b": "boolean", "M": "datetime", "U": "string", "S": "binary"}.get(kind)


def _plain(pd: Any, data: Any) -> Schema:
    """Describe what is made of Python's own values."""
    if isinstance(data, Mapping) and data and all(isinstance(value, list) for value in data.values()):
        return _columns(pd.DataFrame({name: pd.Series(value, dtype=object) for name, value in data.items()}))
    if isinstance(data, list) and data:
        if all(isinstance(record, Mapping) for record in data):
            # As objects, or pandas would turn the integers of a column with gaps into floats.
            return _columns(pd.DataFrame(data, dtype=object))
        if not any(isinstance(value, Mapping | list | tuple) for value in data):
            return (_column(pd.Series(data, dtype=object), None),)
    raise InvalidInput(
        f"data of type '{type(data).__name__}' has no columns to describe; give a DataFrame, a Series, an array, "
        "a dict of arrays, a dict of lists or a list of records, or the signature itself"
    )


def _columns(frame: pd.DataFrame) -> tuple[ColSpec, ...]:
    if not frame.columns.is_unique:
        refuse_duplicates(frame.columns)
    return tuple(_column(frame[name], name) for name in frame.columns)


def _column(column: pd.Series, name: Any) -> ColSpec:
    kind = column_type(column)
    if kind is None:
        raise InvalidInput(
            f"column {name!r} has values of a type that signatures cannot describe ({column.dtype}); "
            "convert it to numbers, strings or datetimes, or give the signature itself"
        )
    if name is None:
        return ColSpec(type=kind)
    # Labels of a default header are numpy integers, which JSON does not know.
    label = int(name) if hasattr(name, "__index__") else str(name)
    return ColSpec(type=kind, name=label, required=not bool(column.isna().any()))


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
