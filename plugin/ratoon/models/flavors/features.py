"""Finds a model's features among the things that a training was given, by the names and the number of columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def features_among(candidates: Iterable[object], names: Sequence[object] | None, width: int | None) -> object | None:
    """The first table or matrix with these columns.

    Args:
        candidates: What to look through.
        names: The labels of the columns, in order; None if the model was fitted without.
        width: The number of columns; None if the model does not know it.
    """
    for candidate in candidates:
        columns = getattr(candidate, "columns", None)
        shape: tuple[int, ...] = getattr(candidate, "shape", ())
        if columns is not None and names is not None:
            if list(columns) == list(names):
                return candidate
        elif hasattr(candidate, "dtype" if columns is None else "dtypes") and len(shape) == 2:
            if width is not None and shape[1] == width:
                return candidate
    return None
