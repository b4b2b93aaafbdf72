"""Which values of a column become which type: only where each of them survives.

numpy and pandas are imported on use.
"""

from __future__ import annotations

from decimal import Decimal
from numbers import Integral
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput
from ratoon.models.foreign import NULLABLE, plain_column
from ratoon.models.inference import column_type
from ratoon.models.schema import COLUMN_TYPES, ColSpec
from ratoon.models.value_casting import Misfit, cast_value
from ratoon.models.value_types import NESTED

if TYPE_CHECKING:
    import pandas as pd

# What a column of each type is made of, as the name of its dtype.
WIDTHS = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")
_NULLABLE = {"boolean": "boolean", "integer": "Int32", "long": "Int64"}
# The largest integer up to which a float counts every integer.
_EXACT = {"float": 2**24, "double": 2**53}
_LARGEST_FLOAT = 3.4e38
_LIMITS = {"integer": 2**31, "long": 2**63}
_INTEGERS = ("integer", "long")
_WIDEST = 8  # bytes
_FLOATS = ("float", "double")
_FIXES = {
    "boolean": "data[{0!r}].astype('bool')",
    "integer": "data[{0!r}].round().astype('int32')",
    "long": "data[{0!r}].round().astype('int64')",
    "float": "data[{0!r}].astype('float32')",
    "double": "pandas.to_numeric(data[{0!r}])",
    "string": "data[{0!r}].astype('str')",
    "binary": "data[{0!r}].str.encode('utf-8')",
    "datetime": "pandas.to_datetime(data[{0!r}])",
}


def cast_column(column: pd.Series, name: Any, spec: ColSpec, literal: bool) -> pd.Series:
    """Convert one column without loss.

    Args:
        column: The values; returned as it is where nothing has to be done.
        name: Its label, for messages.
        spec: What the signature wants.
        literal: The values were Python's own: floats may be rounded to 32 bits, ISO 8601 strings are datetimes.

    Raises:
        InvalidInput: A value would be lost or changed; the message names the column, both types and the way out.
    """
    column = plain_column(column)
    if spec.type not in COLUMN_TYPES:
        return _nested(column, name, spec) if spec.type in NESTED else column
    given = _given(column)
    gaps = bool(column.isna().any())
    if spec.type in WIDTHS:
        column, given = _comparable(column, given, gaps)
    if gaps and spec.required and spec.type in _NULLABLE:
        raise InvalidInput(
            f"column {name!r} of the model's input has missing values (type {spec.type} has none); fill them, or save "
            "the model with an input example that has missing values in this column"
        )
    if given == "any" or (gaps and bool(column.isna().all())):
        empty: Any = _missing_dtype(spec.type, gaps)
        return column.astype(empty)
    converted = (
        _number(column, given, spec.type, literal, gaps)
        if spec.type in WIDTHS
        else _other(column, given, spec.type, literal)
    )
    if converted is None:
        raise InvalidInput(
            f"column {name!r} of the model's input has the wrong type (expected {spec.type}, "
            f"given {given or 'a mixture'}{_cause(given, spec.type)}); convert it, "
            f"for example {_FIXES[spec.type].format(name)}"
        )
    return converted


def widen_integers(frame: pd.DataFrame, names: list[Any]) -> pd.DataFrame | None:
    """Convert columns whose dtype is one of ``INTEGERS`` to doubles, in one step.

    Returns:
        These columns; None if a value is too large to be counted by a double.
    """
    numbers = frame if len(names) == len(frame.columns) else frame[names]
    block, limit = numbers.to_numpy(), _EXACT["double"]
    if block.size and (block.min() < -limit or block.max() > limit):
        return None
    return numbers.astype("float64")


def _nested(column: pd.Series, name: Any, spec: ColSpec) -> pd.Series:
    """A column of values that are made of values, each brought into the form of its type."""
    if spec.required and spec.name is not None and bool(column.isna().any()):
        raise InvalidInput(
            f"column {name!r} of the model's input has missing values (the signature says that it has none); fill them"
        )
    wanted = {"type": spec.type, **spec.details}
    try:
        values = [cast_value(value, wanted) for value in column]
    except Misfit as error:
        where = f" at '{name}{error.path}'" if error.path else ""
        raise InvalidInput(
            f"column {name!r} of the model's input has the wrong type{where} (expected {error.expected}, "
            f"given {error.given}); give values of the form that the signature describes"
        ) from None
    if all(new is old for new, old in zip(values, column, strict=True)):
        return column
    import pandas as pd

    return pd.Series(values, index=column.index, name=column.name, dtype=object)


def _given(column: pd.Series) -> str | None:
    """The type of the values; that of unsigned 64 bits is the one of their values, which may fit."""
    dtype: Any = column.dtype
    return "long" if dtype.kind == "u" and dtype.itemsize == _WIDEST else column_type(column)


def _comparable(column: pd.Series, given: str | None, gaps: bool) -> tuple[pd.Series, str | None]:
    """Numbers that can be compared and cast, and their type: what categories stand for, and decimals."""
    dtype: Any = column.dtype
    if str(dtype) == "category":
        return _of_categories(column, NULLABLE.get(dtype.categories.dtype.name) if gaps else None), given
    if dtype.kind != "O" or given != "double":
        return column, given
    present = column.dropna()
    if present.empty or not isinstance(present.iloc[0], Decimal):
        return column, given
    if _is_whole(present):
        return _whole_numbers(column), "long"
    floats = column.map(float, na_action="ignore").astype("float64")
    # A decimal survives as a float if the float is written with the decimal's digits.
    survives = all(Decimal(repr(new)) == old for new, old in zip(floats[column.notna()], present, strict=True))
    return (floats, "double") if survives else (column, "decimal")


def _of_categories(column: pd.Series, nullable: str | None) -> pd.Series:
    """What the categories stand for; as a type that can be missing where pandas would count with floats."""
    import pandas as pd

    categories: Any = column.cat.categories
    if nullable is None:
        return column.astype(categories.dtype)
    values = categories.astype(nullable).array.take(column.cat.codes, allow_fill=True)
    return pd.Series(values, index=column.index, name=column.name)


def _whole_numbers(column: pd.Series) -> pd.Series:
    """Decimals without places as Python's integers; pandas would count them with floats beside gaps."""
    import pandas as pd

    values = [int(value) if there else None for value, there in zip(column, column.notna(), strict=True)]
    return pd.Series(values, index=column.index, name=column.name, dtype=object)


def _is_whole(decimals: pd.Series) -> bool:
    """Whether decimals have no places behind the point, and so count things."""
    return all(value.is_finite() and value.as_tuple().exponent == 0 for value in decimals)


def _number(column: pd.Series, given: str | None, wanted: str, literal: bool, gaps: bool) -> pd.Series | None:
    """The column as numbers or truth values; None if that would lose something."""
    if wanted in _INTEGERS:
        fits = _holds_integers(column, given, gaps, _LIMITS[wanted])
    elif wanted == "boolean":
        fits = given == "boolean"
    else:
        fits = given in (wanted, "float") or _counts(column, given, wanted)
        fits = (fits and _counted(column, given)) or (literal and wanted == "float" and _rounds(column, given))
    if not fits:
        return None
    dtype: Any = _NULLABLE[wanted] if gaps and wanted in _NULLABLE else WIDTHS[wanted]
    if gaps and column.dtype.kind == "O" and wanted in _FLOATS:
        # Python's None is no float; going through the nullable type makes it one.
        return column.astype("Float64").astype(dtype)
    return column.astype(dtype)


def _holds_integers(column: pd.Series, given: str | None, gaps: bool, limit: int) -> bool:
    if given in _FLOATS and gaps:
        # Integers with gaps are floats in pandas: they are taken back where each is whole.
        whole = bool((column.dropna() % 1 == 0).all())
        return whole and _within(column, -limit, limit)
    return given in _INTEGERS and _within(column, -limit, limit)


def _counts(column: pd.Series, given: str | None, wanted: str) -> bool:
    return given in _INTEGERS and _within(column, -_EXACT[wanted], _EXACT[wanted] + 1)


def _counted(column: pd.Series, given: str | None) -> bool:
    """Whether the integers among Python's floats survive as floats."""
    if column.dtype.kind != "O" or given != "double":
        return True
    return not any(isinstance(value, Integral) and abs(int(value)) > _EXACT["double"] for value in column)


def _rounds(column: pd.Series, given: str | None) -> bool:
    """Whether numbers without a width of their own may be rounded to 32 bits: whether none overflows."""
    if given not in (*_INTEGERS, "double"):
        return False
    sizes = (column.dropna() if column.dtype.kind == "O" else column).abs()
    return not bool(((sizes >= _LARGEST_FLOAT) & (sizes != float("inf"))).any())


def _within(column: pd.Series, low: int, high: int) -> bool:
    """Whether all values are in ``low <= value < high``."""
    return column.empty or (int(column.min()) >= low and int(column.max()) < high)


def _other(column: pd.Series, given: str | None, wanted: str, literal: bool) -> pd.Series | None:
    """The column as strings, bytes or datetimes; None if it is something else."""
    if wanted != "datetime":
        return column if given == wanted else None
    if given != "datetime" and not (given == "string" and literal):
        return None
    if column.dtype.kind == "M":
        return column
    import pandas as pd

    try:
        return pd.to_datetime(column, format="ISO8601" if given == "string" else None)
    except (ValueError, TypeError):
        return None


def _missing_dtype(wanted: str, gaps: bool) -> str:
    """The type of a column without a single value: one that can be missing, unless there are no rows at all."""
    dtypes = {**WIDTHS, **(_NULLABLE if gaps else {}), "datetime": "datetime64[ns]"}
    return dtypes.get(wanted, "object")


def _cause(given: str | None, wanted: str) -> str:
    if given == "decimal" and wanted in _FLOATS:
        return " with more digits than it holds"
    if given in _INTEGERS and wanted in (*_INTEGERS, *_FLOATS):
        return " with values too large for it"
    return ""
