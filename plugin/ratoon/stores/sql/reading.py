"""How rows become values. Each function works inside the caller's transaction, and asks once for all rows of a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ratoon.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    LifecycleStage,
    Metric,
    Model,
    ModelOutput,
    ModelStatus,
    Run,
    RunStatus,
)
from ratoon.errors import InvalidInput, NotFound
from ratoon.stores.sql.connection import Connection
from ratoon.stores.sql.metrics import read_latest
from ratoon.stores.sql.pairs import EXPERIMENT_TAGS, MODEL_PARAMS, MODEL_TAGS, PARAMS, TAGS
from ratoon.stores.sql.prepared import CHANGE, SHARE, Prepared, PreparedByOwner

# Named tuples of a prepared statement, or what SQLAlchemy found: their columns are attributes of them.
Row = Any
Rows = Sequence[Row]

OUTPUT, INPUT = "output", "input"


def experiment_number(experiment_id: str) -> int:
    """The database's key of an experiment."""
    if not (isinstance(experiment_id, str) and experiment_id.isascii() and experiment_id.isdigit()):
        raise InvalidInput(f"experiment id {experiment_id!r} is not a number; to look one up by name, use its name")
    # What no database could have counted to is nobody's key.
    return int(experiment_id) if len(experiment_id) <= 18 else -1


def require_experiment(connection: Connection, experiment_id: str, *, lock: bool = False) -> Row:
    """The row of an experiment; NotFound if there is none."""
    return _experiment_row(connection, experiment_id, CHANGE if lock else "")


def active_experiment(connection: Connection, experiment_id: str, *, change: bool = False) -> Row:
    """The row of an experiment that something is added to, or that is changed; InvalidInput if it is deleted.

    It stays as it is until the transaction ends. Others may add to it, too, unless it is changed.
    """
    row = _experiment_row(connection, experiment_id, CHANGE if change else SHARE)
    if row.lifecycle_stage != LifecycleStage.ACTIVE:
        raise InvalidInput(
            f"experiment {row.name!r} is deleted; restore it with 'ratoon experiments restore', or choose another one"
        )
    return row


def read_experiments(connection: Connection, rows: Rows) -> list[Experiment]:
    """Experiments in the order of their rows."""
    tags = EXPERIMENT_TAGS.read(connection, [row.experiment_id for row in rows])
    return [
        Experiment(
            experiment_id=str(row.experiment_id),
            name=row.name,
            artifact_location=row.artifact_location,
            lifecycle_stage=LifecycleStage(row.lifecycle_stage),
            creation_time=row.creation_time,
            last_update_time=row.last_update_time,
            tags=tags[row.experiment_id],
        )
        for row in rows
    ]


def require_run(connection: Connection, run_id: str) -> Row:
    """The row of a run; NotFound if there is none."""
    return _run_row(connection, run_id, lock=False)


def active_run(connection: Connection, run_id: str) -> Row:
    """The row of a run that is changed, locked until the transaction ends; InvalidInput if it is deleted."""
    row = _run_row(connection, run_id, lock=True)
    if row.lifecycle_stage != LifecycleStage.ACTIVE:
        raise InvalidInput(f"run '{run_id}' is deleted; restore it with 'ratoon runs restore' before you change it")
    return row


def read_run(connection: Connection, run_id: str) -> Run:
    """A run with everything that was recorded; NotFound if there is none."""
    return read_runs(connection, [require_run(connection, run_id)])[0]


def read_runs(connection: Connection, rows: Rows) -> list[Run]:
    """Runs in the order of their rows."""
    numbers = [row.run_pk for row in rows]
    params = PARAMS.read(connection, numbers)
    tags = TAGS.read(connection, numbers)
    metrics = read_latest(connection, numbers)
    inputs = _inputs(connection, numbers)
    models = _linked_models(connection, numbers)
    return [
        Run(
            run_id=row.run_id,
            run_name=row.run_name,
            experiment_id=str(row.experiment_id),
            user_id=row.user_id,
            status=RunStatus(row.status),
            start_time=row.start_time,
            end_time=row.end_time,
            artifact_uri=row.artifact_uri,
            lifecycle_stage=LifecycleStage(row.lifecycle_stage),
            params=params[row.run_pk],
            metrics=metrics[row.run_pk],
            tags=tags[row.run_pk],
            inputs=tuple(inputs[row.run_pk]),
            model_inputs=tuple(link.model_id for link in models[row.run_pk] if link.role == INPUT),
            model_outputs=tuple(
                ModelOutput(model_id=link.model_id, step=link.step)
                for link in models[row.run_pk]
                if link.role == OUTPUT
            ),
        )
        for row in rows
    ]


def require_model(connection: Connection, model_id: str, *, lock: bool = False) -> Row:
    """The row of a model; NotFound if there is none, or it is deleted."""
    row: Row | None = _MODEL[CHANGE if lock else ""].first(connection, {"model_id": model_id})
    if row is None:
        raise NotFound(f"model '{model_id}' does not exist; 'ratoon runs show RUN' lists the models of a run")
    return row


def read_model(connection: Connection, model_id: str) -> Model:
    """A model; NotFound if there is none, or it is deleted."""
    return read_models(connection, [require_model(connection, model_id)])[0]


def read_models(connection: Connection, rows: Rows) -> list[Model]:
    """Models in the order of their rows."""
    ids = [row.model_id for row in rows]
    params = MODEL_PARAMS.read(connection, ids)
    tags = MODEL_TAGS.read(connection, ids)
    metrics = _model_metrics(connection, ids)
    return [
        Model(
            model_id=row.model_id,
            experiment_id=str(row.experiment_id),
            name=row.name,
            source_run_id=row.source_run_id,
            artifact_uri=row.artifact_uri,
            status=ModelStatus(row.status),
            creation_timestamp=row.creation_timestamp,
            last_updated_timestamp=row.last_updated_timestamp,
            model_type=row.model_type,
            status_message=row.status_message,
            lifecycle_stage=LifecycleStage(row.lifecycle_stage),
            params=params[row.model_id],
            tags=tags[row.model_id],
            metrics=tuple(metrics[row.model_id]),
        )
        for row in rows
    ]


def to_json(value: Any) -> str:
    """A JSON document for a column; unlike msgspec's, it keeps NaN and the infinities."""
    return json.dumps(msgspec.to_builtins(value, enc_hook=_number), separators=(",", ":"))


def _number(value: Any) -> float:
    """A number of another library, NumPy's for example."""
    return float(value)


def from_json(text: str) -> Any:
    """What :func:`to_json` was given."""
    return json.loads(text)


def _experiment_row(connection: Connection, experiment_id: str, lock: str = "") -> Row:
    row: Row | None = _EXPERIMENT[lock].first(connection, {"experiment_id": experiment_number(experiment_id)})
    if row is None:
        raise NotFound(f"experiment {experiment_id!r} does not exist; list them with 'ratoon experiments'")
    return row


def _run_row(connection: Connection, run_id: str, *, lock: bool) -> Row:
    row: Row | None = _RUN[CHANGE if lock else ""].first(connection, {"run_id": run_id})
    if row is None:
        raise NotFound(f"run '{run_id}' does not exist; list the runs with 'ratoon runs'")
    return row


def _inputs(connection: Connection, numbers: Sequence[int]) -> Mapping[int, list[DatasetInput]]:
    return {number: [_input(row) for row in rows] for number, rows in _INPUTS.rows(connection, numbers).items()}


def _input(row: Row) -> DatasetInput:
    dataset = Dataset(
        name=row.name,
        digest=row.digest,
        source_type=row.source_type,
        source=row.source,
        schema=row.schema,
        profile=row.profile,
    )
    return DatasetInput(dataset=dataset, tags=from_json(row.tags))


def _linked_models(connection: Connection, numbers: Sequence[int]) -> Mapping[int, list[Row]]:
    return _LINKS.rows(connection, numbers)


def _model_metrics(connection: Connection, ids: Sequence[str]) -> Mapping[str, list[Metric]]:
    rows = _MODEL_METRICS.rows(connection, ids)
    return {model_id: [_model_metric(row) for row in found] for model_id, found in rows.items()}


def _model_metric(row: Row) -> Metric:
    return Metric(
        row.key,
        math.nan if row.is_nan else row.value,
        row.timestamp,
        row.step,
        model_id=row.model_id,
        dataset_name=row.dataset_name or None,
        dataset_digest=row.dataset_digest or None,
        run_id=row.run_id or None,
    )


def _row_of(query: str) -> dict[str, Prepared]:
    """A query for a row that may be locked, by the kind of lock."""
    return {lock: Prepared(query, lock=lock) for lock in ("", SHARE, CHANGE)}


_EXPERIMENT = _row_of("SELECT * FROM experiments WHERE experiment_id = :experiment_id")
_RUN = _row_of("SELECT * FROM runs WHERE run_id = :run_id")
_MODEL = _row_of(f"SELECT * FROM models WHERE model_id = :model_id AND lifecycle_stage = '{LifecycleStage.ACTIVE}'")
_INPUTS = PreparedByOwner(
    "SELECT run_inputs.run_pk, run_inputs.tags, datasets.* FROM run_inputs"
    " JOIN datasets ON datasets.dataset_pk = run_inputs.dataset_pk"
    " WHERE run_inputs.run_pk IN :keys ORDER BY datasets.dataset_pk, run_inputs.context"
)
_LINKS = PreparedByOwner(
    "SELECT run_models.run_pk, run_models.model_id, run_models.role, run_models.step FROM run_models"
    " LEFT JOIN models ON models.model_id = run_models.model_id"
    " WHERE run_models.run_pk IN :keys ORDER BY run_models.step, models.creation_timestamp, run_models.model_id"
)
_MODEL_METRICS = PreparedByOwner(
    "SELECT * FROM model_metrics WHERE model_id IN :keys ORDER BY key, run_id, dataset_name, dataset_digest"
)
