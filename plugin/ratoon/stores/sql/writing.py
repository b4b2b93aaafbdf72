"""How what a run records becomes rows. Each function works inside the caller's transaction.

Rows that two transactions may write at once are written in one order everywhere, so that they wait for each other and
never for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ratoon.entities import Dataset, Metric, RunBatch
from ratoon.errors import NotFound
from ratoon.stores.limits import MAX_NAME
from ratoon.stores.sql.connection import Connection
from ratoon.stores.sql.metrics import write_metrics
from ratoon.stores.sql.pairs import PARAMS, TAGS
from ratoon.stores.sql.prepared import Prepared, PreparedForKeys, insertion
from ratoon.stores.sql.reading import Row, active_run

NAME_TAG = "mlflow.runName"


def write_batch(connection: Connection, batch: RunBatch) -> None:
    """Write a batch to a run that is not deleted."""
    write_parts(connection, active_run(connection, batch.run_id), batch)


def write_parts(connection: Connection, run: Row, batch: RunBatch) -> None:
    """Write a batch to the run of a row."""
    if batch.params:
        owner = {"run_pk": run.run_pk, "experiment_id": run.experiment_id}
        PARAMS.add(connection, owner, batch.params, f"run '{batch.run_id}'")
    if batch.tags:
        write_run_tags(connection, run, batch.tags)
    if batch.metrics:
        write_metrics(connection, run, batch.metrics)
        _write_model_metrics(connection, run, batch.metrics)


def write_run_tags(connection: Connection, run: Row, tags: Mapping[str, str]) -> None:
    """Add tags to a run; the one that repeats its name changes its name."""
    TAGS.put(connection, {"run_pk": run.run_pk, "experiment_id": run.experiment_id}, tags)
    name = tags.get(NAME_TAG)
    if name and name != run.run_name and len(name) <= MAX_NAME:
        _RENAME.run(connection, {"run_pk": run.run_pk, "run_name": name})


def write_dataset(connection: Connection, experiment_id: int, dataset: Dataset) -> int:
    """Store a dataset of an experiment, once; returns its key."""
    row: dict[str, object] = {name: getattr(dataset, name) for name in Dataset.__struct_fields__}
    row["experiment_id"] = experiment_id
    _ADD_DATASET.run(connection, row)
    number: int = _DATASET.first(connection, row).dataset_pk
    return number


def write_input(connection: Connection, row: Mapping[str, object]) -> None:
    """Record that a run used a dataset; one that is recorded already is left as it is."""
    _ADD_INPUT.run(connection, row)


def link_models(connection: Connection, run_pk: int, role: str, steps: Mapping[str, int]) -> None:
    """Record models that a run used or produced; the step of one that is recorded already is set anew."""
    if steps:
        rows = [{"run_pk": run_pk, "model_id": each, "role": role, "step": steps[each]} for each in sorted(steps)]
        _LINK.run_many(connection, rows)


def _write_model_metrics(connection: Connection, run: Row, metrics: Iterable[Metric]) -> None:
    """Keep the last value of each metric with the model that it was measured of."""
    measured = [metric for metric in metrics if metric.model_id is not None]
    if not measured:
        return
    rows: dict[tuple[str, ...], dict[str, object]] = {}
    for metric in sorted(measured, key=lambda each: (each.step, each.timestamp)):
        row = _model_metric(str(metric.model_id), run.run_id, metric)
        rows[tuple(str(row[name]) for name in _MEASURED)] = row
    _require_models(connection, sorted({str(row["model_id"]) for row in rows.values()}))
    _MEASURE.run_many(connection, [rows[key] for key in sorted(rows)])


def _model_metric(model_id: str, run_id: str, metric: Metric) -> dict[str, object]:
    is_nan = math.isnan(metric.value)
    return {
        "model_id": model_id,
        "key": metric.key,
        "run_id": run_id,
        "dataset_name": metric.dataset_name or "",
        "dataset_digest": metric.dataset_digest or "",
        "value": 0.0 if is_nan else float(metric.value),
        "is_nan": is_nan,
        "timestamp": metric.timestamp,
        "step": metric.step,
    }


def _require_models(connection: Connection, ids: list[str]) -> None:
    known = {row.model_id for row in _KNOWN_MODELS.rows(connection, ids)}
    for model_id in ids:
        if model_id not in known:
            raise NotFound(f"model '{model_id}' does not exist; create it before you log metrics of it")


_RENAME = Prepared("UPDATE runs SET run_name = :run_name WHERE run_pk = :run_pk")
_ADD_DATASET = Prepared(
    f"{insertion('datasets', ('experiment_id', *Dataset.__struct_fields__))} ON CONFLICT DO NOTHING"
)
_DATASET = Prepared(
    "SELECT dataset_pk FROM datasets WHERE experiment_id = :experiment_id AND name = :name AND digest = :digest"
)
_ADD_INPUT = Prepared(f"{insertion('run_inputs', ('run_pk', 'dataset_pk', 'context', 'tags'))} ON CONFLICT DO NOTHING")
_LINK = Prepared(
    f"{insertion('run_models', ('run_pk', 'model_id', 'role', 'step'))}"
    " ON CONFLICT (run_pk, model_id, role) DO UPDATE SET step = excluded.step"
)
_MEASURED = ("model_id", "key", "run_id", "dataset_name", "dataset_digest")
_MEASURE = Prepared(
    f"{insertion('model_metrics', (*_MEASURED, 'value', 'is_nan', 'timestamp', 'step'))}"
    f" ON CONFLICT ({', '.join(_MEASURED)}) DO UPDATE SET value = excluded.value, is_nan = excluded.is_nan,"
    " timestamp = excluded.timestamp, step = excluded.step"
    " WHERE (excluded.step, excluded.timestamp) >= (model_metrics.step, model_metrics.timestamp)"
)
_KNOWN_MODELS = PreparedForKeys("SELECT model_id FROM models WHERE model_id IN :keys")
