"""What one request may carry, and what MLflow's own server does not keep as it is: that is refused, not changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ratoon.entities import DatasetInput, Metric, Run, RunBatch
from ratoon.errors import InvalidInput


class Limits(NamedTuple):
    """What a server takes in one request: points, params or tags, and bytes."""

    metrics: int
    pairs: int
    size: int


# MLflow's server takes 1 MB, ratoon's several; the length of a value in JSON is only estimated.
OF_MLFLOW = Limits(1000, 100, 800_000)
OF_RATOON = Limits(10_000, 1000, 8_000_000)


def parts_of(batch: RunBatch, limits: Limits) -> list[RunBatch]:
    """Batches that a server takes, params first: a param that is refused is refused before anything is written.

    What fits into one goes as one; else each kind goes on its own, as MLflow's limit for all kinds together demands.
    """
    counts = (len(batch.metrics), len(batch.params), len(batch.tags))
    if sum(counts) <= limits.metrics and max(counts[1:]) <= limits.pairs and _size(batch) <= limits.size:
        return [batch]
    run_id = batch.run_id
    parts = [
        RunBatch(run_id=run_id, params=dict(pairs))
        for pairs in _slices(list(batch.params.items()), limits.pairs, limits.size)
    ]
    parts += [
        RunBatch(run_id=run_id, tags=dict(pairs))
        for pairs in _slices(list(batch.tags.items()), limits.pairs, limits.size)
    ]
    parts += [
        RunBatch(run_id=run_id, metrics=tuple(points))
        for points in _slices(list(batch.metrics), limits.metrics, limits.size)
    ]
    return parts


def _size(batch: RunBatch) -> int:
    return sum(map(_length, (*batch.metrics, *batch.params.items(), *batch.tags.items())))


def _slices(items: list[Any], most: int, size: int) -> Iterator[list[Any]]:
    taken: list[Any] = []
    length = 0
    for item in items:
        more = _length(item)
        if taken and (len(taken) == most or length + more > size):
            yield taken
            taken, length = [], 0
        taken.append(item)
        length += more
    if taken:
        yield taken


def _length(item: Any) -> int:
    """About as many bytes as an item takes in JSON; a character takes at most six."""
    if isinstance(item, Metric):
        return 120 + len(item.key)
    key, value = item
    return 40 + len(key) + (len(value) if value.isascii() else 6 * len(value))


def check_for_mlflow(batch: RunBatch) -> None:
    """Refuse what MLflow's server would answer with 200 and not keep as it is, or with the error of its database.

    It stores the largest finite number for an infinite one, and one dataset for a model, metric, step and time.
    """
    seen: dict[tuple[object, ...], tuple[str | None, str | None]] = {}
    for metric in batch.metrics:
        if math.isinf(metric.value):
            raise InvalidInput(
                f"metric {metric.key!r} is {metric.value} at step {metric.step} (MLflow's server keeps no infinite"
                " values); log it as a tag, or to a ratoon server"
            )
        if metric.model_id is not None:
            dataset = (metric.dataset_name, metric.dataset_digest)
            point = (metric.model_id, metric.key, metric.timestamp, metric.step)
            if seen.setdefault(point, dataset) != dataset:
                raise InvalidInput(
                    f"metric {metric.key!r} of model '{metric.model_id}' has two datasets at step {metric.step}"
                    " (MLflow's server keeps one dataset for a step and time); log them at different steps"
                )


def new_inputs(
    run: Run, inputs: Sequence[DatasetInput], model_ids: Sequence[str]
) -> tuple[list[DatasetInput], list[str]]:
    """What of a run's inputs MLflow's server does not have yet: it refuses a model that it has.

    Raises:
        InvalidInput: A dataset is given a second role, which the server would drop without a word.
    """
    known: dict[tuple[str, str], Mapping[str, str]] = {_name(each): each.tags for each in run.inputs}
    new = []
    for each in inputs:
        if _name(each) not in known:
            new.append(each)
        if known.setdefault(_name(each), each.tags) != each.tags:
            raise InvalidInput(
                f"dataset {each.dataset.name!r} has the tags {dict(known[_name(each)])} in run '{run.run_id}' and"
                f" cannot get {dict(each.tags)} (MLflow's server keeps one role of a dataset in a run); give it"
                " another digest"
            )
    return new, [each for each in dict.fromkeys(model_ids) if each not in run.model_inputs]


def _name(given: DatasetInput) -> tuple[str, str]:
    return given.dataset.name, given.dataset.digest
