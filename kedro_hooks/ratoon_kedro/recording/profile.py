"""A few figures about each column of a table or about an array, at a cost that does not grow with it.

Figures are taken from evenly spaced rows where there are many, and only of so many columns; the profile says so.
No library is imported: the data brings its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from ratoon_kedro.recording.schema import Shape, is_spark, library_of, shape_of

MOST_ROWS = 10_000
MOST_COLUMNS = 100
MOST_CELLS = 200_000
_DIGITS = 10


def profile_of(data: Any, hides: Callable[[str], bool], *, figures: bool = True) -> dict[str, Any] | None:
    """What is worth knowing about data at a glance; None if it is neither a table nor an array.

    Args:
        data: The data; it is neither changed nor copied.
        hides: Tells the columns of which nothing may be told.
        figures: Whether minimum, maximum and the like are wanted, or only how large the data is.
    """
    shape = shape_of(data)
    if shape is None:
        return None
    if shape.sizes is not None:
        return _of_array(data, shape, figures)
    found: dict[str, Any] = {"num_rows": shape.rows, "num_columns": shape.columns}
    if shape.rows is None or shape.columns is None:
        return {key: value for key, value in found.items() if value is not None}
    found["num_elements"] = shape.rows * shape.columns
    if figures and shape.rows and shape.columns and not is_spark(data):
        found |= _of_table(data, shape.rows, shape.columns, hides)
    return found


def text_of(profile: Mapping[str, Any] | None) -> str | None:
    """The profile as a document."""
    return json.dumps(profile) if profile is not None else None


def _of_table(data: Any, rows: int, columns: int, hides: Callable[[str], bool]) -> dict[str, Any]:
    width = min(columns, MOST_COLUMNS)
    every = math.ceil(rows / min(MOST_ROWS, max(MOST_CELLS // width, 100)))
    sample = _READ.get(library_of(data), _nothing)(data, width, every)
    described = [_column(name, kind, values, hides) for name, kind, values in sample]
    if not described:
        return {}
    found: dict[str, Any] = {"columns": described}
    if every > 1:
        found["sample"] = {"rows": -(-rows // every), "every": every}
    if columns > width:
        found["note"] = f"the first {width} of {columns} columns"
    return found


Columns = list[tuple[str, str, Any]]


def _of_pandas(data: Any, width: int, every: int) -> Columns:
    part = data.iloc[::every, :width]
    series = [part.iloc[:, place] for place in range(part.shape[1])]
    return [(str(each.name), getattr(each.dtype, "kind", "O"), each) for each in series]


def _of_polars(data: Any, width: int, every: int) -> Columns:
    part = data[:, :width].gather_every(every) if every > 1 else data[:, :width]
    return [(name, "f" if kind.is_numeric() else "O", part[name]) for name, kind in part.schema.items()]


def _of_arrow(data: Any, width: int, every: int) -> Columns:
    part = data.select(list(range(width)))
    part = part.take(list(range(0, data.num_rows, every))) if every > 1 else part
    return [(each.name, _arrow_kind(str(each.type)), part.column(place)) for place, each in enumerate(part.schema)]


def _arrow_kind(name: str) -> str:
    return "f" if name.startswith(("int", "uint", "float", "double", "halffloat")) else "O"


def _nothing(data: Any, width: int, every: int) -> Columns:
    return []


_READ: dict[str, Callable[[Any, int, int], Columns]] = {
    "pandas": _of_pandas,
    "polars": _of_polars,
    "pyarrow": _of_arrow,
}


def _column(name: str, kind: str, values: Any, hides: Callable[[str], bool]) -> dict[str, Any]:
    if hides(name):
        return {"name": name, "hidden": True}
    found: dict[str, Any] = {"name": name}
    try:
        return found | _DESCRIBE[library_of(values)](kind, values)
    except Exception as error:  # columns of lists, of mixed types: each library has errors of its own
        return found | {"note": f"no figures ({type(error).__name__})"}


def _of_series(kind: str, values: Any) -> dict[str, Any]:
    nulls = int(values.isna().sum())
    if kind in "iuf":
        figures = values.to_numpy(dtype=float, na_value=math.nan)
        figures = figures[figures == figures]  # without NaN
        return _figures(figures) | {"nulls": nulls}
    if kind == "M":
        return {"min": str(values.min()), "max": str(values.max()), "nulls": nulls}
    return {"distinct": int(values.nunique()), "nulls": nulls}


def _of_arrow_column(kind: str, values: Any) -> dict[str, Any]:
    import pyarrow.compute as pc  # there, or nobody had such a column

    nulls = int(values.null_count)
    if kind == "f":
        limits = pc.min_max(values).as_py()
        figures = {"min": limits["min"], "max": limits["max"], "mean": pc.mean(values).as_py()}
        return {key: _number(value) for key, value in figures.items()} | {"nulls": nulls}
    return {"distinct": int(pc.count_distinct(values, mode="only_valid").as_py()), "nulls": nulls}


def _of_polars_column(kind: str, values: Any) -> dict[str, Any]:
    nulls = int(values.null_count())
    if kind == "f":
        figures = {"min": values.min(), "max": values.max(), "mean": values.mean()}
        return {key: _number(value) for key, value in figures.items()} | {"nulls": nulls}
    return {"distinct": int(values.n_unique()) - (1 if nulls else 0), "nulls": nulls}


_DESCRIBE: dict[str, Callable[[str, Any], dict[str, Any]]] = {
    "pandas": _of_series,
    "polars": _of_polars_column,
    "pyarrow": _of_arrow_column,
}


def _of_array(data: Any, shape: Shape, figures: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"num_rows": shape.rows, "shape": shape.sizes, "dtype": shape.dtype}
    size = math.prod(shape.sizes or ())
    found["num_elements"] = size
    numeric = library_of(data) == "numpy" and data.dtype.kind in "iuf"
    if figures and size and numeric:
        every = -(-size // MOST_CELLS)
        # Rows, not elements: a flat view of an array that is not contiguous would be a copy of it.
        by_row = data[:: max(1, min(every, len(data)))]
        part = by_row.ravel() if by_row.size <= 2 * MOST_CELLS else by_row.flat[:MOST_CELLS]
        finite = part[part == part]
        found |= _figures(finite) | {"nulls": int(part.size - finite.size)}
        if part.size < size:
            found["sample"] = {"elements": int(part.size)}
    return found


def _figures(values: Any) -> dict[str, Any]:
    if not values.size:
        return {}
    return {"min": _number(values.min()), "max": _number(values.max()), "mean": _number(values.mean(dtype=float))}


def _number(value: Any) -> float | int | None:
    """A number that JSON has a word for, short enough to be read."""
    if value is None or not math.isfinite(value):
        return None
    if float(value).is_integer() and abs(value) < 2**53:
        return int(value)
    return float(f"{float(value):.{_DIGITS}g}")
