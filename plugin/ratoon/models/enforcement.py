"""How data is brought into the form of a signature: columns in order, types widened, nothing lost.

Work is done a column at a time, and not at all for data that fits already. Messages name columns and types, never
values: what a model is asked is nobody else's business. numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput
from ratoon.models.casting import INTEGERS, WIDTHS, cast_column, widen_integers
from ratoon.models.inference import refuse_duplicates
from ratoon.models.schema import ColSpec, ParamSpec, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LISTED_NAMES = 20


def enforce_columns(specs: Sequence[ColSpec], data: Any) -> pd.DataFrame:
    """Make a DataFrame with these columns of these types; other columns are dropped, missing optional ones filled.

    Raises:
        InvalidInput: A required column is missing, or one cannot be converted without loss.
    """
    names = _names(specs)
    frame, literal = _as_frame(names, data)
    if not frame.columns.is_unique:
        refuse_duplicates(frame.columns)
    if all(spec.name is None for spec in specs) and len(frame.columns) == len(names):
        frame = frame.set_axis(names, axis="columns")
    _refuse_missing(specs, names, frame.columns)
    if list(frame.columns) != names:
        frame = frame.reindex(columns=names)
    dtypes = list(frame.dtypes)
    # A wide frame has many columns and few types: each type is spelt once.
    spelt = {dtype: str(dtype) for dtype in set(dtypes)}
    fitted = [WIDTHS.get(spec.type) == spelt[dtype] for spec, dtype in zip(specs, dtypes, strict=True)]
    if all(fitted):
        return frame
    odd = [(name, spec) for name, spec, fits in zip(names, specs, fitted, strict=True) if not fits]
    whole = {name for name, dtype in zip(names, dtypes, strict=True) if spelt[dtype] in INTEGERS}
    return _cast(frame, odd, [name for name, spec in odd if spec.type == "double" and name in whole], literal)


def _cast(frame: pd.DataFrame, odd: Sequence[tuple[Any, ColSpec]], whole: list[Any], literal: bool) -> pd.DataFrame:
    """Convert the odd columns; those that hold integers and are to hold doubles all at once."""
    import pandas as pd

    widened = widen_integers(frame, whole) if whole else None
    if widened is not None and len(whole) == len(frame.columns):
        return widened
    changed = {} if widened is None else dict(widened.items())
    for name, spec in odd:
        if name not in changed:
            column = frame[name]
            converted = cast_column(column, name, spec, literal)
            if converted is not column:
                changed[name] = converted
    if not changed:
        return frame
    return pd.DataFrame({name: changed.get(name, frame[name]) for name in frame.columns}, copy=False)


def enforce_tensors(specs: Sequence[TensorSpec], data: Any) -> Any:
    """Make an array of the type and shape; a dict of arrays where the tensors have names.

    Raises:
        InvalidInput: A tensor is missing, has another shape, or cannot be converted without loss.
    """
    if specs[0].name is None:
        return _tensor(specs[0], "the model's input", data)
    if not isinstance(data, Mapping):
        raise InvalidInput(
            f"data of type '{type(data).__name__}' does not fit the model (it takes arrays by name); "
            f"give a dict with {_listed(spec.name for spec in specs)}"
        )
    missing = [spec.name for spec in specs if spec.name not in data]
    if missing:
        raise InvalidInput(f"array {missing[0]!r} of the model's input is missing (given: {_listed(data)}); add it")
    return {spec.name: _tensor(spec, f"array {spec.name!r}", data[spec.name]) for spec in specs}


def _tensor(spec: TensorSpec, what: str, data: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    literal = isinstance(data, list | tuple)
    try:
        array = data if isinstance(data, np.ndarray) else np.asarray(data)
        wanted = np.dtype(spec.dtype)
    except (ValueError, TypeError):  # the message of numpy's error quotes values
        raise InvalidInput(f"{what} is no array (rows differ in length or type); give rows of equal length") from None
    if len(array.shape) != len(spec.shape) or any(
        want not in (-1, have) for want, have in zip(spec.shape, array.shape, strict=True)
    ):
        raise InvalidInput(
            f"{what} has the wrong shape (expected {_shape(spec.shape)}, given {_shape(array.shape)}); reshape it"
        )
    if array.dtype == wanted or (wanted.kind in "US" and array.dtype.kind == wanted.kind):
        return array
    as_float = literal and wanted.kind == "f" and array.dtype.kind in "iuf"
    fits_integers = literal and wanted.kind in "iu" and array.dtype.kind in "iu" and _in_range(array, wanted)
    if as_float or fits_integers or _widens(np, array.dtype, wanted):
        return array.astype(wanted)
    raise InvalidInput(
        f"{what} has the wrong type (expected {wanted.name}, given {array.dtype.name}); "
        f"convert it, for example array.astype('{wanted.name}'), if nothing that matters is lost"
    )


def _widens(np: Any, given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Whether every value survives; numpy counts numbers as texts, and truth values as numbers, we do not."""
    if wanted.kind == "O":
        return True
    return given.kind in "iuf" and wanted.kind in "iufc" and bool(np.can_cast(given, wanted, "safe"))


def _in_range(array: np.ndarray[Any, Any], wanted: np.dtype[Any]) -> bool:
    import numpy as np

    limits = np.iinfo(wanted)
    return array.size == 0 or bool(limits.min <= array.min() and array.max() <= limits.max)


def enforce_params(specs: Sequence[ParamSpec] | None, params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Complete parameters with the defaults of the signature; without one they pass as they are.

    Raises:
        InvalidInput: A parameter is unknown or is a list where a single value is wanted, or the reverse.
    """
    if specs is None:
        return None if params is None else dict(params)
    given = dict(params or {})
    known = {spec.name: spec for spec in specs}
    for name, value in given.items():
        if name not in known:
            raise InvalidInput(f"parameter {name!r} is unknown to the model; known are: {_listed(known)}")
        if value is not None and isinstance(value, list | tuple) != (known[name].shape is not None):
            wanted = "a single value" if known[name].shape is None else "a list"
            raise InvalidInput(
                f"parameter {name!r} has the wrong shape (given '{type(value).__name__}'); give {wanted}"
            )
    return {name: given.get(name, spec.default) for name, spec in known.items()}


def _names(specs: Sequence[ColSpec]) -> list[Any]:
    """The labels of the columns: positions where the signature has no names."""
    return [position if spec.name is None else spec.name for position, spec in enumerate(specs)]


def _as_frame(names: list[Any], data: Any) -> tuple[pd.DataFrame, bool]:
    """A DataFrame of the data, and whether it was made of Python's own values, whose width means nothing."""
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data, False
    if isinstance(data, pd.Series):
        return data.to_frame(), False
    if isinstance(data, np.ndarray):
        return _frame_of_array(names, data), False
    is_records = isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data)
    is_table = isinstance(data, Mapping) and all(isinstance(value, list | np.ndarray) for value in data.values())
    is_rows = isinstance(data, list) and data and all(isinstance(row, list | tuple) for row in data)
    if not (is_records or is_table or is_rows):
        raise InvalidInput(
            f"data of type '{type(data).__name__}' does not fit the model; "
            "give a DataFrame, a list of records, a dict of lists or an array with a column for each feature"
        )
    try:
        return pd.DataFrame(data, columns=names if is_rows else None), True
    except (ValueError, TypeError):  # the message of pandas' error may quote values
        raise InvalidInput(
            f"columns of the model's input differ in length, or are not {len(names)}; give lists of equal length"
        ) from None


def _frame_of_array(names: list[Any], array: np.ndarray[Any, Any]) -> pd.DataFrame:
    import pandas as pd

    if array.ndim == 1 and len(names) == 1 and not array.dtype.names:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise InvalidInput(
            f"array of shape {_shape(array.shape)} does not fit the model (it takes {len(names)} columns: "
            f"{_listed(names)}); give an array of shape {_shape((-1, len(names)))}, a row for each prediction"
        )
    return pd.DataFrame(array, columns=names, copy=False)


def _refuse_missing(specs: Sequence[ColSpec], names: list[Any], given: Iterable[Any]) -> None:
    present = set(given)
    missing = [name for name, spec in zip(names, specs, strict=True) if spec.required and name not in present]
    if missing:
        raise InvalidInput(
            f"column {_listed(missing)} of the model's input is missing (given: {_listed(given)}); add what is missing"
        )


def _listed(names: Iterable[Any]) -> str:
    shown = [repr(name) for name in names]
    rest = len(shown) - LISTED_NAMES
    return (", ".join(shown[:LISTED_NAMES]) or "nothing") + (f" and {rest} more" if rest > 0 else "")


def _shape(shape: Sequence[int]) -> str:
    return "(" + ", ".join("any" if length == -1 else str(length) for length in shape) + ")"
