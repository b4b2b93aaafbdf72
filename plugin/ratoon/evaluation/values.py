"""What an evaluation found: frozen values, ready to be written as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field


class Task(StrEnum):
    """What a model is asked for."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class SegmentMetrics(Struct, frozen=True, kw_only=True):
    """How good the model is where a column has a value.

    Attributes:
        column: The column.
        value: Its value, as a text.
        rows: How many rows these are.
        few: Whether they are too few to say much.
        metrics: Those that can be computed for them.
    """

    column: str
    value: str
    rows: int
    few: bool
    metrics: Mapping[str, float]


class Difference(Struct, frozen=True, kw_only=True):
    """A metric of two models on the same rows; None where it could be computed for one of them only.

    ``difference`` is the candidate's value less the champion's, ``better`` whether that is an improvement: None if
    there is no difference, or none that can be told.
    """

    candidate: float | None
    champion: float | None
    difference: float | None
    better: bool | None


class SegmentDifferences(Struct, frozen=True, kw_only=True):
    """How two models differ where a column has a value; see :class:`SegmentMetrics`."""

    column: str
    value: str
    rows: int
    few: bool
    metrics: Mapping[str, Difference]


class Comparison(Struct, frozen=True, kw_only=True):
    """A candidate beside the champion, on the same rows.

    Attributes:
        champion: The champion, by its URI where it has one.
        run_id: The run that holds the champion's own evaluation.
        metrics: The difference in each metric.
        segments: The differences in each segment.
    """

    champion: str
    run_id: str
    metrics: Mapping[str, Difference]
    segments: tuple[SegmentDifferences, ...] = ()


class Measured(Struct, frozen=True, kw_only=True):
    """What was found out about one model.

    Attributes:
        task: What it was asked for.
        metrics: By scikit-learn's names of scorers, without ``neg_``.
        segments: The same for parts of the data.
        classes: The labels, in the order of probabilities and of the confusion matrix; empty for a regression.
        positive: The class that precision, recall and the curves of a binary task are about.
        notes: What a reader of the figures should know.
    """

    task: Task
    metrics: Mapping[str, float]
    segments: tuple[SegmentMetrics, ...] = ()
    classes: tuple[str, ...] = ()
    positive: str | None = None
    notes: tuple[str, ...] = ()


class Evaluation(Struct, frozen=True, kw_only=True):
    """How good a model is, and where that is recorded.

    Attributes:
        model: What was evaluated, by its URI where it has one.
        run_id: The run that holds metrics, figures and predictions.
        dataset: The name of the data.
        digest: The digest of its content.
        rows: How many rows it has.
        task: What the model was asked for.
        metrics: By scikit-learn's names of scorers, without ``neg_``; only those that can be computed.
        segments: The same for parts of the data.
        classes: The labels; empty for a regression.
        positive: The class that precision, recall and the curves of a binary task are about.
        notes: What a reader of the figures should know.
        artifacts: The run's files, by what they show.
        comparison: The champion beside it, if one was named.
    """

    model: str
    run_id: str
    dataset: str
    digest: str
    rows: int
    task: Task
    metrics: Mapping[str, float]
    segments: tuple[SegmentMetrics, ...] = ()
    classes: tuple[str, ...] = ()
    positive: str | None = None
    notes: tuple[str, ...] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)
    comparison: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: what is not a finite number becomes None."""
        found: dict[str, Any] = _finite(msgspec.to_builtins(self))
        return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
