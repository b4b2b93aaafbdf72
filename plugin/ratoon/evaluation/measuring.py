"""From a model and the rows to what is known about it: answers, metrics, segments, predictions to keep."""

from __future__ import annotations

from typing import Any, NamedTuple

from ratoon.errors import InvalidInput, MissingExtra
from ratoon.evaluation.answers import Answers, ask
from ratoon.evaluation.labels import Labelled, label
from ratoon.evaluation.sample import Sample
from ratoon.evaluation.scores import Quantities, quantities, scores
from ratoon.evaluation.subject import Subject
from ratoon.evaluation.tasks import is_regression
from ratoon.evaluation.values import Measured, SegmentMetrics, Task
from ratoon.registry.predictions import Predictions


class Asked(NamedTuple):
    """What is to be found out: see :func:`ratoon.evaluation.evaluating.evaluate`."""

    task: Task | None = None
    pos_label: Any = None
    minimum_rows: int = 30


class Finding(NamedTuple):
    """A model, what it said, row by row, and what follows from that."""

    subject: Subject
    rows: Labelled | Quantities
    predictions: Predictions
    measured: Measured


def measure(subject: Subject, sample: Sample, asked: Asked) -> Finding:
    """Ask a model about all rows and compute what can be computed.

    Raises:
        InvalidInput: The model fails, or its answers do not fit the targets or the task.
        MissingExtra: scikit-learn is not installed.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MissingExtra("an evaluation", "evaluation", "scikit-learn") from error
    answers = ask(subject, sample.data, len(sample.targets))
    try:
        rows, task = _rows(subject, sample, answers, asked)
    except InvalidInput as error:
        raise InvalidInput(f"model '{subject.name}' cannot be evaluated: {error}") from error
    return Finding(
        subject, rows, _predictions(sample, rows, answers), _measured(rows, task, sample, asked.minimum_rows)
    )


def _rows(subject: Subject, sample: Sample, answers: Answers, asked: Asked) -> tuple[Labelled | Quantities, Task]:
    task = asked.task
    if task == Task.REGRESSION or (task is None and is_regression(subject.native, sample.targets, answers)):
        if asked.pos_label is not None:
            raise InvalidInput("pos_label is given and the task is regression; leave it out, or give task='binary'")
        return quantities(sample.targets, answers.values, sample.weights), Task.REGRESSION
    rows = label(sample.targets, answers, task, asked.pos_label, sample.weights)
    return rows, Task.MULTICLASS if rows.positive is None else Task.BINARY


def _measured(rows: Labelled | Quantities, task: Task, sample: Sample, minimum_rows: int) -> Measured:
    segments = tuple(
        SegmentMetrics(
            column=segment.column,
            value=segment.value,
            rows=len(places),
            few=len(places) < minimum_rows,
            metrics=scores(rows.take(places)),
        )
        for segment, places in sorted(sample.segments.items())
    )
    if isinstance(rows, Quantities):
        return Measured(task=task, metrics=scores(rows), segments=segments)
    positive = None if rows.positive is None else rows.names[rows.positive]
    return Measured(
        task=task, metrics=scores(rows), segments=segments, classes=rows.names, positive=positive, notes=rows.notes
    )


def _predictions(sample: Sample, rows: Labelled | Quantities, answers: Answers) -> Predictions:
    """Row by row, classes written as they are written among the targets."""
    dataset = sample.dataset
    if isinstance(rows, Quantities):
        columns: dict[str, Any] = {"targets": sample.targets.tolist(), "predictions": answers.values.tolist()}
    else:
        columns = {
            "targets": [rows.names[each] for each in rows.truth.tolist()],
            "predictions": [rows.names[each] for each in rows.said.tolist()],
        }
        if rows.probabilities is not None:
            columns["probabilities"] = {
                name: rows.probabilities[:, place].tolist() for place, name in enumerate(rows.names)
            }
    return Predictions(dataset=dataset.name, digest=dataset.digest, rows=sample.rows, **columns)
