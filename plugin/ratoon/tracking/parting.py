"""What becomes of a batch that was refused: one bad value must not take the others with it.

A batch is taken apart step by step, as far as it is refused: params from the rest and from each other, then metrics by
key, model and dataset, infinite values from finite ones (MLflow's server takes only these).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ratoon.entities import Metric, RunBatch
from ratoon.errors import InvalidInput, NotFound, RatoonError

# What is answered so once is answered so always.
REFUSED = (InvalidInput, NotFound)


class Left(NamedTuple):
    """A part of a batch that is not written, and why."""

    part: RunBatch
    error: RatoonError


def is_whole(batch: RunBatch, error: RatoonError) -> bool:
    """Whether a refusal concerns all of a batch: the run is not there, unless it is a model that is missing."""
    return isinstance(error, NotFound) and all(metric.model_id is None for metric in batch.metrics)


def write_apart(batch: RunBatch, log: Callable[[RunBatch], None]) -> list[Left]:
    """Write as much as can be of a batch that was refused; what is left of it."""
    left: list[Left] = []
    for part in _parts(batch):
        try:
            log(part)
        except REFUSED as error:
            left += [Left(part, error)] if len(_parts(part)) == 1 else write_apart(part, log)
        except RatoonError as error:
            left.append(Left(part, error))
    return left


def _parts(batch: RunBatch) -> list[RunBatch]:
    """The next smaller parts of a batch; itself if there are none."""
    run_id = batch.run_id
    if batch.params:
        rest = [RunBatch(run_id=run_id, metrics=batch.metrics, tags=batch.tags)]
        params = [RunBatch(run_id=run_id, params={key: value}) for key, value in batch.params.items()]
        return params + (rest if batch.metrics or batch.tags else [])
    groups: dict[tuple[object, ...], list[Metric]] = {}
    for metric in batch.metrics:
        measured = (metric.model_id, metric.dataset_name, metric.dataset_digest)
        groups.setdefault((metric.key, math.isinf(metric.value), *measured), []).append(metric)
    tags = [RunBatch(run_id=run_id, tags=batch.tags)] if batch.tags else []
    return tags + [RunBatch(run_id=run_id, metrics=tuple(group)) for group in groups.values()]
