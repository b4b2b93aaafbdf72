"""The rows that a model is evaluated on, checked before anything is computed.

numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ratoon.entities import Dataset
from ratoon.errors import InvalidInput, MissingExtra
from ratoon.evaluation.describing import describe_data
from ratoon.evaluation.segmenting import Columns, segment_rows
from ratoon.registry.predictions import as_text
from ratoon.registry.segments import Segment

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


class Given(NamedTuple):
    """What the caller gave: see :func:`ratoon.evaluation.evaluating.evaluate`."""

    data: Any
    targets: Any
    segments: Any = ()
    weights: Any = None
    dataset: str | Dataset = "evaluation"


class Sample(NamedTuple):
    """Rows with what is true of them.

    Attributes:
        data: What models are called with.
        targets: What is true, a value for each row.
        rows: What tells the rows apart.
        weights: How much each row counts; None if all count the same.
        segments: The positions of the rows of each segment.
        dataset: What is recorded of the data.
    """

    data: Any
    targets: Array
    rows: Sequence[Any]
    weights: Array | None
    segments: Mapping[Segment, Array]
    dataset: Dataset


def make_sample(given: Given) -> Sample:
    """Bring data, targets, segments and weights together.

    Raises:
        InvalidInput: There are no rows, lengths or indexes differ, values are missing, or a column is not there.
        MissingExtra: pandas or numpy is not installed.
    """
    data, index = _table(given.data)
    length = _rows_in(data)
    columns = _Columns(data, index, length)
    targets = _checked_targets(columns.take("targets", given.targets))
    weights = None if given.weights is None else _checked_weights(columns.take("weights", given.weights))
    segments = segment_rows(_segment_columns(columns, given.segments))
    left_out = [each for each in (given.targets, given.weights) if isinstance(each, str)]
    features = data.drop(columns=left_out) if left_out else data
    dataset = describe_data(features, targets, given.dataset)
    return Sample(features, targets, _row_names(index, length), weights, segments, dataset)


class _Columns:
    """Values of the rows, by the name of a column or as they are given."""

    def __init__(self, data: Any, index: Any, length: int) -> None:
        self._data = data
        self._index = index
        self._length = length

    def take(self, what: str, given: Any) -> Array:
        """One value for each row.

        Args:
            what: How messages call them.
            given: The name of a column, or the values.
        """
        import numpy as np
        import pandas as pd

        if isinstance(given, str):
            given = self._column(what, given)
        index = getattr(given, "index", None)
        # A list has a method of that name.
        if self._index is not None and hasattr(index, "equals") and not self._index.equals(index):
            raise InvalidInput(f"{what} have another index than the data; give {what}.loc[data.index], or an array")
        plain = given.to_numpy() if hasattr(given, "to_numpy") else given
        values: Array = np.asarray(plain if hasattr(plain, "__len__") else list(plain))
        if values.dtype.kind == "O" and values.ndim == 1:  # numbers that could be missing and are not
            values = pd.Series(values, dtype=object).infer_objects().to_numpy()
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1:
            raise InvalidInput(f"{what} have the shape {values.shape}; give one value for each row")
        if len(values) != self._length:
            raise InvalidInput(f"{what} are {len(values)} and the data has {self._length} rows; give one for each row")
        return values

    def _column(self, what: str, name: str) -> Any:
        names = getattr(self._data, "columns", None)
        if names is None:
            raise InvalidInput(f"{what} are the column {name!r} (the data has no named columns); give their values")
        if name not in names:
            listed = ", ".join(map(repr, list(names)[:20]))
            raise InvalidInput(f"{what} are the column {name!r}, which the data does not have (it has {listed})")
        return self._data[name]


def _table(data: Any) -> tuple[Any, Any]:
    """Data as models take it, and its index if it has one."""
    try:
        import numpy as np
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("an evaluation", "evaluation", error.name or "pandas") from error
    if hasattr(data, "to_pandas"):  # Polars, Arrow
        data = data.to_pandas()
    if isinstance(data, Mapping) and all(np.ndim(column) == 1 for column in data.values()):
        data = _frame(data)
    elif isinstance(data, list):
        data = _frame(data) if data and isinstance(data[0], Mapping) else np.asarray(data)
    if isinstance(data, pd.Series):
        data = data.to_frame()
    return data, data.index if isinstance(data, pd.DataFrame) else None


def _frame(data: Any) -> Any:
    import pandas as pd

    try:
        return pd.DataFrame(data)
    except ValueError as error:
        raise InvalidInput(f"the data is no table ({error}); give as many values to each column") from error


def _rows_in(data: Any) -> int:
    if isinstance(data, Mapping):
        lengths = {len(array) for array in data.values()}
        if len(lengths) > 1:
            raise InvalidInput(f"the arrays of the data have {', '.join(map(str, sorted(lengths)))} rows; give as many")
        length = lengths.pop() if lengths else 0
    elif hasattr(data, "__len__") and not isinstance(data, str):
        length = len(data)
    else:
        raise InvalidInput(f"data of type '{type(data).__name__}' has no rows; give a DataFrame or an array")
    if not length:
        raise InvalidInput("the data has no rows; give at least two to evaluate a model on")
    return length


def _checked_targets(targets: Array) -> Array:
    import pandas as pd

    missing = pd.isna(targets)
    if missing.any():
        first = int(missing.argmax())
        raise InvalidInput(
            f"{int(missing.sum())} of {len(targets)} targets are missing (the first in row {first}); leave those rows"
            " out, data[targets.notna()] for example"
        )
    return targets


def _checked_weights(weights: Array) -> Array:
    import numpy as np

    try:
        found: Array = weights.astype("float64")
    except (TypeError, ValueError) as error:
        raise InvalidInput("weights are no numbers; give 0 or more for each row") from error
    if not np.isfinite(found).all() or (found < 0).any() or not found.any():
        raise InvalidInput("weights are negative, missing, infinite or all 0; give 0 or more for each row")
    return found


def _segment_columns(columns: _Columns, segments: Any) -> Columns:
    if isinstance(segments, Mapping):
        named = list(segments.items())
    else:
        given = [segments] if isinstance(segments, str) or hasattr(segments, "dtype") else list(segments)
        named = [(each if isinstance(each, str) else getattr(each, "name", None), each) for each in given]
    found = {}
    for name, values in named:
        if name is None:
            raise InvalidInput(
                "a segment has no name; give the name of a column, a Series with a name, or {name: values}"
            )
        found[str(name)] = columns.take(f"segments by {str(name)!r}", values)
    return found


def _row_names(index: Any, length: int) -> Sequence[Any]:
    """The labels of the rows, or their positions where labels do not tell them apart."""
    if index is None or not index.is_unique:
        return range(length)
    labels = index.tolist()
    return labels if len(set(map(as_text, labels))) == length else range(length)
