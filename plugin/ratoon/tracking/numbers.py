"""Which values are metrics, and which are the history of metrics.

NumPy, pandas and Polars are not imported: a value can only be one of theirs if somebody else has imported them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from msgspec import Struct

MOST_NUMBERS = 200  # more of them in one value are data rather than metrics
LONGEST_HISTORY = 100_000  # points of one metric
MOST_POINTS = 200_000  # points of all metrics of one value
STEPS = ("step", "epoch", "iteration")

_ARRAYS = ("numpy", "torch", "jaxlib", "jax", "tensorflow")
_NEVER = (bool, str, bytes, type(None))


class History(Struct, frozen=True):
    """The points of one metric; as many steps as values, and the steps grow."""

    steps: Sequence[int]
    values: Sequence[float]


def number_of(value: Any) -> float | None:
    """A number of Python or NumPy, a Decimal, a Fraction or an array without dimensions; None for all else.

    A truth is no number, and neither is a span of time.
    """
    kind = type(value)
    if kind is float:
        return float(value)
    if kind in _NEVER:
        return None
    if not isinstance(value, (Real, Decimal)):
        value = _only_item(value)
    if value is None or kind.__name__ == "timedelta64":
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except ValueError:  # a signalling NaN of Decimal
        return None


def _only_item(value: Any) -> Any:
    """The number in an array without dimensions; None for anything else."""
    if type(value).__module__.partition(".")[0] not in _ARRAYS or getattr(value, "shape", None) != ():
        return None
    item = value.item() if hasattr(value, "item") else None
    return item if isinstance(item, Real) and not isinstance(item, bool) else None


def numbers_of(value: object) -> dict[str, float] | None:
    """The numbers of a mapping by dotted key; None if anything else is in it, or more than :data:`MOST_NUMBERS`."""
    if not isinstance(value, Mapping) or not value or len(value) > MOST_NUMBERS:
        return None
    found: dict[str, float] = {}
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, inner = waiting.pop()
        for key, each in inner.items():
            if not isinstance(key, str):
                return None
            name = f"{path}.{key}" if path else key
            number = number_of(each)
            if number is not None:
                found[name] = number
            elif isinstance(each, Mapping) and each and path.count(".") < 8:
                waiting.append((name, each))
            else:
                return None
        if len(found) + len(waiting) > MOST_NUMBERS:
            return None
    return found


def histories_of(value: object) -> dict[str, History] | None:
    """The histories in a value whose shape says that it holds some, by metric; None for anything else.

    They are: a list of floats, whose key is empty; a mapping from names to lists of one length with a float among them,
    as the fit of a Keras model leaves it; a table of pandas or Polars that has nothing but numbers and a column, or an
    index, that is called step, epoch or iteration and grows.
    """
    if isinstance(value, list) or type(value) is tuple:  # but not a named one
        values = _floats(value)
        return {"": History(range(len(values)), values)} if values is not None else None
    if isinstance(value, Mapping):
        return _of_columns(value)
    if type(value).__name__ == "DataFrame":
        columns = _columns_of_frame(value)
        return _of_columns(columns, stepped=True) if columns is not None else None
    if type(value).__name__ == "History" and type(value).__module__.partition(".")[0] in ("keras", "tensorflow"):
        return _of_columns(getattr(value, "history", {}))
    return None


def _floats(values: Sequence[Any]) -> list[float] | None:
    if not 2 <= len(values) <= LONGEST_HISTORY or not all(_is_float(each) for each in values):
        return None
    return [float(each) for each in values]


def _is_float(value: object) -> bool:
    return isinstance(value, float) or (
        not isinstance(value, Integral) and isinstance(value, Real) and number_of(value) is not None
    )


def _of_columns(columns: Mapping[Any, Any], *, stepped: bool = False) -> dict[str, History] | None:
    """Histories from columns of one length; ``stepped`` if the steps must be among them."""
    if not _may_be_columns(columns):
        return None
    numbers: dict[str, list[float]] = {}
    fractions = stepped
    for name, values in columns.items():
        found = [number_of(each) for each in _plain(values)]
        if any(each is None for each in found):
            return None
        numbers[name] = [each for each in found if each is not None]
        fractions = fractions or _holds_floats(values)
    steps = _steps(numbers)
    if not fractions or not numbers or (steps is None and stepped):
        return None
    length = len(next(iter(numbers.values())))
    return {name: History(steps or range(length), values) for name, values in numbers.items()}


def _may_be_columns(columns: Mapping[Any, Any]) -> bool:
    """Whether they are lists or arrays of one length and of a size that a history has."""
    if not 0 < len(columns) <= MOST_NUMBERS:
        return False
    numpy = sys.modules.get("numpy")
    kinds: Any = (list, tuple, numpy.ndarray) if numpy is not None else (list, tuple)
    lengths: set[int] = set()
    for name, values in columns.items():
        if not isinstance(name, str) or not isinstance(values, kinds) or getattr(values, "ndim", 1) != 1:
            return False
        lengths.add(len(values))
    length = lengths.pop()
    return not lengths and 2 <= length <= LONGEST_HISTORY and length * len(columns) <= MOST_POINTS


def _plain(values: Any) -> Sequence[Any]:
    """The values as Python's own: a hundred times faster to look at than an array's."""
    found: Sequence[Any] = values.tolist() if hasattr(values, "tolist") else values
    return found


def _holds_floats(values: Any) -> bool:
    kind = getattr(getattr(values, "dtype", None), "kind", None)
    return kind == "f" if kind else any(_is_float(each) for each in values)


def _steps(numbers: dict[str, list[float]]) -> list[int] | None:
    """The column that counts the steps, taken out; None if there is none that can."""
    for name in list(numbers):
        values = numbers[name]
        if name.lower() not in STEPS or not all(each.is_integer() for each in values):
            continue
        if all(one < next_one for one, next_one in zip(values, values[1:], strict=False)):
            return [int(each) for each in numbers.pop(name)]
    return None


def _columns_of_frame(frame: Any) -> dict[str, Any] | None:
    """The columns of a table that is small enough and holds nothing but numbers, the named index among them."""
    library = type(frame).__module__.partition(".")[0]
    if library not in ("pandas", "polars"):
        return None
    rows, width = frame.shape
    if not 2 <= rows <= LONGEST_HISTORY or rows * width > MOST_POINTS or width > MOST_NUMBERS:
        return None
    names = [str(name) for name in frame.columns]
    index = frame.index.name if library == "pandas" else None
    candidates = [*names, str(index)]
    if len(set(candidates)) < len(candidates) or not {name.lower() for name in candidates} & set(STEPS):
        return None
    if library == "polars":
        numeric = all(dtype.is_numeric() for dtype in frame.dtypes) and not any(frame.null_count().row(0))
        return {name: frame[name].to_list() for name in names} if numeric else None
    if any(getattr(dtype, "kind", "O") not in "iuf" for dtype in frame.dtypes):
        return None
    columns = {name: frame.iloc[:, place].to_numpy(dtype=float, na_value=math.nan) for place, name in enumerate(names)}
    return columns | ({index: list(frame.index)} if isinstance(index, str) else {})
