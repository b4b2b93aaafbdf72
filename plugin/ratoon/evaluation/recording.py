"""Keeping an evaluation with a run: metrics, figures, predictions, the data, and whose evaluation it is."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from ratoon.clock import now_ms
from ratoon.entities import DatasetInput, Metric
from ratoon.errors import MissingExtra
from ratoon.evaluation.comparing import columns_of
from ratoon.evaluation.figures import figures_of
from ratoon.evaluation.measuring import Finding
from ratoon.evaluation.sample import Sample
from ratoon.evaluation.subject import Subject
from ratoon.evaluation.values import Comparison, Evaluation, Measured
from ratoon.registry.contender import EVALUATION_RUN
from ratoon.registry.predictions import DESCRIPTION, TABLE, log_predictions
from ratoon.registry.segments import ROWS, segment_key
from ratoon.stores.limits import check_metric
from ratoon.tracking.client import Client
from ratoon.tracking.run import ActiveRun
from ratoon.tracking.tables import appended, table_of

FOLDER = "evaluation"
EVALUATION = f"{FOLDER}/evaluation.json"
COMPARISON = f"{FOLDER}/comparison.json"

logger = logging.getLogger(__name__)


def record(
    run: ActiveRun, found: Finding, sample: Sample, *, figures: bool | None, comparison: Comparison | None = None
) -> Evaluation:
    """Log everything that was found out about a model to a run, and name the run in the model's version.

    The version is told last: whoever follows it finds everything that there is.

    Args:
        run: The run.
        found: The model and what is known of it.
        sample: The rows it was asked about.
        figures: Whether to draw; if Matplotlib is installed where None.
        comparison: The champion beside it.
    """
    evaluation = Evaluation(
        model=found.subject.name,
        run_id=run.run_id,
        dataset=sample.dataset.name,
        digest=sample.dataset.digest,
        rows=len(sample.targets),
        **{name: getattr(found.measured, name) for name in Measured.__struct_fields__},
        artifacts=dict(_log_files(run, found, figures, comparison)),
        comparison=comparison,
    )
    run.log_text(json.dumps(evaluation.to_dict(), indent=2), EVALUATION)
    _log_input(run, found.subject, sample)
    _log_metrics(run, found, sample, comparison)
    run.set_tags({"ratoon.evaluated": found.subject.name, "ratoon.task": found.measured.task})
    if comparison is not None:
        run.set_tag("ratoon.champion", comparison.champion)
    run.flush()
    _tell_version(run.client, found.subject, run.run_id)
    return evaluation


def _log_files(
    run: ActiveRun, found: Finding, figures: bool | None, comparison: Comparison | None
) -> Iterator[tuple[str, str]]:
    """Keep each file; what it shows, and its path."""
    log_predictions(run, found.predictions)
    yield "predictions", TABLE
    yield "predictions_description", DESCRIPTION
    yield "evaluation", EVALUATION
    if figures is not False:
        yield from _log_figures(run, found, required=bool(figures))
    if comparison is not None:
        # Not by log_table, which would continue the table of an evaluation before.
        run.log_text(appended(b"", table_of(columns_of(comparison)), COMPARISON), COMPARISON)
        yield "comparison", COMPARISON


def _log_figures(run: ActiveRun, found: Finding, *, required: bool) -> Iterator[tuple[str, str]]:
    try:
        for name, figure in figures_of(found.rows, found.subject.name):
            path = f"{FOLDER}/{name}.png"
            run.log_figure(figure, path)
            yield name, path
    except MissingExtra as error:
        if required:
            raise
        logger.info("no figures are drawn: %s", error)


def _log_input(run: ActiveRun, subject: Subject, sample: Sample) -> None:
    given = DatasetInput(dataset=sample.dataset, tags={"mlflow.data.context": "evaluation"})
    models = [subject.model_id] if subject.model_id else []
    run.client.tracking.log_inputs(run.run_id, [given], models)


def _log_metrics(run: ActiveRun, found: Finding, sample: Sample, comparison: Comparison | None) -> None:
    """Log metrics as those of this model on this data, wherever the store knows the model."""
    now, model_id, dataset = now_ms(), found.subject.model_id, sample.dataset
    for key, value in _points(found.measured):
        known = (model_id, dataset.name, dataset.digest) if model_id else ()
        metric = Metric(key, value, now, 0, *known)
        check_metric(metric)
        run.client.writer.put(run.run_id, metric)
    for name, each in (comparison.metrics if comparison else {}).items():
        if each.difference is not None:
            run.log_metric(f"difference/{name}", each.difference, timestamp=now)


def _points(measured: Measured) -> Iterator[tuple[str, float]]:
    yield from measured.metrics.items()
    for segment in measured.segments:
        yield segment_key(segment.column, segment.value, ROWS), float(segment.rows)
        for name, value in segment.metrics.items():
            yield segment_key(segment.column, segment.value, name), value


def _tell_version(client: Client, subject: Subject, run_id: str) -> None:
    version = subject.version
    if version is None or (version.run_id == run_id and EVALUATION_RUN not in version.tags):
        return  # gates look at the run that made it, too
    client.registry.update_version(version.name, version.version, tags={EVALUATION_RUN: run_id})
