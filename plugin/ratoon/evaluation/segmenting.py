"""Which rows belong to which segment. numpy and pandas are imported on use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput
from ratoon.registry.segments import Segment, segment_key
from ratoon.stores.limits import check_key

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

# A column with more values than this is no way to divide data: each becomes a dozen metrics.
MOST_VALUES = 100
# What every missing value is called, whichever library left it out.
MISSING = "nan"

_LONGEST_METRIC = "mean_absolute_percentage_error"

Columns = Mapping[str, Any]


def segment_rows(columns: Columns) -> dict[Segment, Array]:
    """The positions of the rows in which each column has each of its values.

    Values that are written alike, 1 and ``"1"``, are one.

    Raises:
        InvalidInput: A column has too many values, or one that no key of a metric could name.
    """
    found: dict[Segment, Array] = {}
    for column, values in columns.items():
        found |= _rows_by_value(column, values)
    return found


def _rows_by_value(column: str, values: Array) -> dict[Segment, Array]:
    import numpy as np
    import pandas as pd

    missing = pd.isna(values)
    plain = zip(values.tolist(), missing.tolist(), strict=True)
    texts, codes = np.unique(
        np.array([MISSING if gap else str(value) for value, gap in plain], dtype=object), return_inverse=True
    )
    if len(texts) > MOST_VALUES:
        raise InvalidInput(
            f"column {column!r} has {len(texts)} different values (at most {MOST_VALUES} make segments); group them,"
            f" pandas.qcut(data[{column!r}], 4) for example"
        )
    found = {}
    for code, text in enumerate(texts.tolist()):
        check_key("metric", segment_key(column, text, _LONGEST_METRIC))
        found[Segment(column, text)] = np.flatnonzero(codes == code)
    return found
