"""How rows become values. Each function works inside the caller's transaction, and asks once for all rows of a page."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Column, Connection, Row, Table, bindparam, select

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
from ratoon.stores.sql import tables
from ratoon.stores.sql.metrics import read_latest
from ratoon.stores.sql.prepared import CHUNK, Prepared, PreparedByOwner

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Rows = Sequence[Row[Any]]

OUTPUT, INPUT = "output", "input"

# Words of PostgreSQL; SQLite has one writer at a time.
_SHARE, _CHANGE = "FOR SHARE", "FOR NO KEY UPDATE"


def experiment_number(experiment_id: str) -> int:
    """The database's key of an experiment."""
    if not (isinstance(experiment_id, str) and experiment_id.isascii() and experiment_id.isdigit()):
        raise InvalidInput(f"experiment id {experiment_id!r} is not a number; to look one up by name, use its name")
    # What no database could have counted to is nobody's key.
    return int(experiment_id) if len(experiment_id) <= 18 else -1


def require_experiment(connection: Connection, experiment_id: str, *, lock: bool = False) -> Row[Any]:
    """The row of an experiment; NotFound if there is none."""
    return _experiment_row(connection, experiment_id, _CHANGE if lock else "")


def active_experiment(connection: Connection, experiment_id: str, *, change: bool = False) -> Row[Any]:
    """The row of an experiment that something is added to, or that is changed; InvalidInput if it is deleted.

    It stays as it is until the transaction ends. Others may add to it, too, unless it is changed.
    """
    row = _experiment_row(connection, experiment_id, _CHANGE if change else _SHARE)
    if row.lifecycle_stage != LifecycleStage.ACTIVE:
        raise InvalidInput(
            f"experiment {row.name!r} is deleted; restore it with 'ratoon experiments restore', or choose another one"
        )
    return row


def read_experiments(connection: Connection, rows: Rows) -> list[Experiment]:
    """Experiments in the order of their rows."""
    tags = read_pairs(connection, tables.experiment_tags, "experiment_id", [row.experiment_id for row in rows])
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


def require_run(connection: Connection, run_id: str) -> Row[Any]:
    """The row of a run; NotFound if there is none."""
    return _run_row(connection, run_id, lock=False)


def active_run(connection: Connection, run_id: str) -> Row[Any]:
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
    params = read_pairs(connection, tables.params, "run_pk", numbers)
    tags = read_pairs(connection, tables.tags, "run_pk", numbers)
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


def require_model(connection: Connection, model_id: str, *, lock: bool = False) -> Row[Any]:
    """The row of a model; NotFound if there is none, or it is deleted."""
    columns = tables.models.c
    query = select(tables.models).where(columns.model_id == model_id, columns.lifecycle_stage == LifecycleStage.ACTIVE)
    row = connection.execute(query.with_for_update(key_share=True) if lock else query).first()
    if row is None:
        raise NotFound(f"model '{model_id}' does not exist; 'ratoon runs show RUN' lists the models of a run")
    return row


def read_model(connection: Connection, model_id: str) -> Model:
    """A model; NotFound if there is none, or it is deleted."""
    return read_models(connection, [require_model(connection, model_id)])[0]


def read_models(connection: Connection, rows: Rows) -> list[Model]:
    """Models in the order of their rows."""
    ids = [row.model_id for row in rows]
    params = read_pairs(connection, tables.model_params, "model_id", ids)
    tags = read_pairs(connection, tables.model_tags, "model_id", ids)
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


def read_pairs(connection: Connection, table: Table, owner: str, owners: Sequence[K]) -> dict[K, dict[str, str]]:
    """Keys and values of a table of pairs, by owner."""
    pairs = _pairs(table, owner).rows(connection, owners)
    return {number: {key: value for _, key, value in rows} for number, rows in pairs.items()}


def chunks(keys: Sequence[V]) -> Iterator[Sequence[V]]:
    """Keys in portions that fit into a statement."""
    for begin in range(0, len(keys), CHUNK):
        yield keys[begin : begin + CHUNK]


def values_of(row: Row[Any]) -> dict[str, Any]:
    """The columns of a row by name; SQLAlchemy's own names are a kind of string that msgspec does not take."""
    return {str(name): value for name, value in row._mapping.items()}


def to_json(value: Any) -> str:
    """A JSON document for a column; unlike msgspec's, it keeps NaN and the infinities."""
    return json.dumps(msgspec.to_builtins(value, enc_hook=_number), separators=(",", ":"))


def _number(value: Any) -> float:
    """A number of another library, NumPy's for example."""
    return float(value)


def from_json(text: str) -> Any:
    """What :func:`to_json` was given."""
    return json.loads(text)


def _experiment_row(connection: Connection, experiment_id: str, lock: str = "") -> Row[Any]:
    row: Row[Any] | None = _EXPERIMENT[lock].first(connection, {"wanted": experiment_number(experiment_id)})
    if row is None:
        raise NotFound(f"experiment {experiment_id!r} does not exist; list them with 'ratoon experiments'")
    return row


def _run_row(connection: Connection, run_id: str, *, lock: bool) -> Row[Any]:
    row: Row[Any] | None = (_LOCKED_RUN if lock else _RUN).first(connection, {"wanted": run_id})
    if row is None:
        raise NotFound(f"run '{run_id}' does not exist; list the runs with 'ratoon runs'")
    return row


def _inputs(connection: Connection, numbers: Sequence[int]) -> Mapping[int, list[DatasetInput]]:
    return {number: [_input(row) for row in rows] for number, rows in _INPUTS.rows(connection, numbers).items()}


def _input(row: Row[Any]) -> DatasetInput:
    dataset = Dataset(
        name=row.name,
        digest=row.digest,
        source_type=row.source_type,
        source=row.source,
        schema=row.schema,
        profile=row.profile,
    )
    return DatasetInput(dataset=dataset, tags=from_json(row.tags))


def _linked_models(connection: Connection, numbers: Sequence[int]) -> Mapping[int, list[Row[Any]]]:
    return _LINKS.rows(connection, numbers)


def _model_metrics(connection: Connection, ids: Sequence[str]) -> Mapping[str, list[Metric]]:
    rows = _MODEL_METRICS.rows(connection, ids)
    return {model_id: [_model_metric(row) for row in found] for model_id, found in rows.items()}


def _model_metric(row: Row[Any]) -> Metric:
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


@functools.cache
def _pairs(table: Table, owner: str) -> PreparedByOwner:
    columns = table.c
    return PreparedByOwner(select(columns[owner], columns.key, columns.value).order_by(columns.key), columns[owner])


def _row_of(column: Column[Any], *, key_share: bool = False, read: bool = False) -> Prepared:
    query = select(column.table).where(column == bindparam("wanted"))
    return Prepared(lambda _: query.with_for_update(key_share=key_share, read=read) if key_share or read else query)


_RUN = _row_of(tables.runs.c.run_id)
_LOCKED_RUN = _row_of(tables.runs.c.run_id, key_share=True)
_EXPERIMENT = {
    "": _row_of(tables.experiments.c.experiment_id),
    _SHARE: _row_of(tables.experiments.c.experiment_id, read=True),
    _CHANGE: _row_of(tables.experiments.c.experiment_id, key_share=True),
}
_MEASURED = ("key", "run_id", "dataset_name", "dataset_digest")
_INPUTS = PreparedByOwner(
    select(tables.run_inputs.c.run_pk, tables.run_inputs.c.tags, *tables.datasets.c)
    .join(tables.datasets, tables.datasets.c.dataset_pk == tables.run_inputs.c.dataset_pk)
    .order_by(tables.datasets.c.dataset_pk, tables.run_inputs.c.context),
    tables.run_inputs.c.run_pk,
)
_LINKS = PreparedByOwner(
    select(tables.run_models.c.run_pk, tables.run_models.c.model_id, tables.run_models.c.role, tables.run_models.c.step)
    .outerjoin(tables.models, tables.models.c.model_id == tables.run_models.c.model_id)
    .order_by(tables.run_models.c.step, tables.models.c.creation_timestamp, tables.run_models.c.model_id),
    tables.run_models.c.run_pk,
)
_MODEL_METRICS = PreparedByOwner(
    select(tables.model_metrics).order_by(*(tables.model_metrics.c[name] for name in _MEASURED)),
    tables.model_metrics.c.model_id,
)
