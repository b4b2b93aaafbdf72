"""A candidate beside the champion: how much their metrics differ on the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ratoon.errors import InvalidInput
from ratoon.evaluation.scores import LOWER_IS_BETTER
from ratoon.evaluation.values import Comparison, Difference, Measured, SegmentDifferences


def check_comparable(candidate: Measured, champion: Measured) -> None:
    """Refuse to compare models that were asked for different things.

    Raises:
        InvalidInput: Their tasks differ.
    """
    if candidate.task != champion.task:
        raise InvalidInput(
            f"the model's task is {candidate.task} and the champion's is {champion.task} (each as its answers look); "
            "give the task"
        )


def compare(candidate: Measured, champion: Measured, *, name: str, run_id: str) -> Comparison:
    """The differences of two models that were measured on the same rows.

    Args:
        candidate: What was found out about the model.
        champion: What was found out about the champion.
        name: What people call the champion.
        run_id: The run that holds the champion's evaluation.
    """
    held = {(each.column, each.value): each.metrics for each in champion.segments}
    segments = tuple(
        SegmentDifferences(
            column=each.column,
            value=each.value,
            rows=each.rows,
            few=each.few,
            metrics=_differences(each.metrics, held[each.column, each.value]),
        )
        for each in candidate.segments
    )
    metrics = _differences(candidate.metrics, champion.metrics)
    return Comparison(champion=name, run_id=run_id, metrics=metrics, segments=segments)


def columns_of(comparison: Comparison) -> dict[str, list[Any]]:
    """A comparison as the columns of a table; rows of the whole data have no segment."""
    names = ("segment", "rows", "metric", "candidate", "champion", "difference", "better")
    return {name: list(column) for name, column in zip(names, zip(*_lines(comparison), strict=True), strict=True)}


def _lines(comparison: Comparison) -> Iterator[tuple[Any, ...]]:
    parts: list[tuple[str | None, int | None, Mapping[str, Difference]]] = [(None, None, comparison.metrics)]
    parts += [(f"{each.column}={each.value}", each.rows, each.metrics) for each in comparison.segments]
    for segment, rows, metrics in parts:
        for metric, each in metrics.items():
            yield segment, rows, metric, each.candidate, each.champion, each.difference, each.better


def _differences(candidate: Mapping[str, float], champion: Mapping[str, float]) -> dict[str, Difference]:
    names = dict.fromkeys([*candidate, *champion])
    return {name: _difference(name, candidate.get(name), champion.get(name)) for name in names}


def _difference(metric: str, candidate: float | None, champion: float | None) -> Difference:
    if candidate is None or champion is None:
        return Difference(candidate=candidate, champion=champion, difference=None, better=None)
    difference = candidate - champion
    better = None if difference == 0 else (difference < 0) == (metric in LOWER_IS_BETTER)
    return Difference(candidate=candidate, champion=champion, difference=difference, better=better)
