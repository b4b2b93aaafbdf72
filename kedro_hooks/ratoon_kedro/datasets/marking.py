"""Which datasets keep what they are given with the run themselves, so that the hook does not keep it once more.

Nothing heavy is imported here: it is asked for every output of every node.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MARK = "_RATOON"


def logs_itself(catalog: Any, name: str) -> str | None:
    """What a dataset logs by itself when it is saved: ``model``, ``metrics``, ``artifact``, or None.

    A ``model`` is logged as a model and ``metrics`` as metrics, so nothing is left to do for such an output. An
    ``artifact`` is a file of the run: its file and its picture need not be kept again.
    """
    return getattr(_stored(catalog, name), MARK, None)


def offer_examples(catalog: Any, name: str, values: Iterable[object]) -> None:
    """Hand what a node received to the dataset that will log its model: the model's example may be among it."""
    offer = getattr(_stored(catalog, name), "offer_examples", None)
    if offer is not None:
        offer(list(values))


def _stored(catalog: Any, name: str) -> Any:
    stored = catalog.get(name)
    # A CachedDataset is a thin wrapper around the real one.
    return stored if hasattr(stored, MARK) else getattr(stored, "_dataset", stored)
