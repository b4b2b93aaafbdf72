"""How rows of the tracking tables become values. Each function works inside the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Table, select

from ratoon.entities import Dataset, DatasetInput, Experiment, LifecycleStage, Model, Run, RunStatus
from ratoon.errors import InvalidInput, NotFound
from ratoon.stores.sql import tables
from ratoon.stores.sql.metrics import read_latest

Rows = Sequence[Row[Any]]


def experiment_number(experiment_id: str) -> int:
    """The database's key of an experiment."""
    if not (isinstance(experiment_id, str) and experiment_id.isascii() and experiment_id.isdigit()):
        raise InvalidInput(f"experiment id {experiment_id!r} is not a number; to look one up by name, use its name")
    # What no database could have counted to is nobody's key.
    return int(experiment_id) if len(experiment_id) <= 18 else -1


def read_experiments(connection: Connection, condition: ColumnElement[bool], limit: int = 1) -> list[Experiment]:
    """Experiments that fulfil a condition, newest first."""
    table = tables.experiments
    rows = connection.execute(select(table).where(condition).order_by(table.c.experiment_id.desc()).limit(limit)).all()
    tags = read_pairs(connection, tables.experiment_tags, "experiment_id", [row.experiment_id for row in rows])
    return [
        msgspec.convert(
            values_of(row) | {"experiment_id": str(row.experiment_id), "tags": tags[row.experiment_id]}, Experiment
        )
        for row in rows
    ]


def require_run(connection: Connection, run_id: str) -> Row[Any]:
    """The row of a run; NotFound if there is none."""
    row = connection.execute(select(tables.runs).where(tables.runs.c.run_id == run_id)).first()
    if row is None:
        raise NotFound(f"run '{run_id}' does not exist; list the runs with 'ratoon runs'")
    return row


def read_run(connection: Connection, run_id: str) -> Run:
    """A run with everything that was recorded; NotFound if there is none."""
    return read_runs(connection, [require_run(connection, run_id)])[0]


def read_runs(connection: Connection, rows: Rows) -> list[Run]:
    """Runs in the order of their rows, each part fetched once for all of them."""
    numbers = [row.run_pk for row in rows]
    params = read_pairs(connection, tables.params, "run_pk", numbers)
    tags = read_pairs(connection, tables.tags, "run_pk", numbers)
    metrics = read_latest(connection, numbers)
    inputs = _inputs(connection, numbers)
    models = _model_ids(connection, [row.run_id for row in rows])
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
            models=tuple(models[row.run_id]),
        )
        for row in rows
    ]


def read_model(connection: Connection, model_id: str) -> Model:
    """A model; NotFound if there is none."""
    row = connection.execute(select(tables.models).where(tables.models.c.model_id == model_id)).first()
    if row is None:
        raise NotFound(f"model '{model_id}' does not exist; 'ratoon runs show RUN' lists the models of a run")
    values = values_of(row) | {"experiment_id": str(row.experiment_id)}
    return msgspec.convert(values | {"params": from_json(row.params), "tags": from_json(row.tags)}, Model)


def read_pairs(connection: Connection, table: Table, owner: str, owners: Sequence[int]) -> dict[int, dict[str, str]]:
    """Keys and values of a table of pairs, by owner."""
    found: dict[int, dict[str, str]] = {number: {} for number in owners}
    query = select(table.c[owner], table.c.key, table.c.value).where(table.c[owner].in_(owners)).order_by(table.c.key)
    for number, key, value in connection.execute(query):
        found[number][key] = value
    return found


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


def _inputs(connection: Connection, numbers: Sequence[int]) -> Mapping[int, list[DatasetInput]]:
    found: dict[int, list[DatasetInput]] = {number: [] for number in numbers}
    query = (
        select(tables.run_inputs.c.run_pk, tables.run_inputs.c.tags, *tables.datasets.c)
        .join(tables.datasets, tables.datasets.c.dataset_pk == tables.run_inputs.c.dataset_pk)
        .where(tables.run_inputs.c.run_pk.in_(numbers))
        .order_by(tables.datasets.c.dataset_pk)
    )
    for row in connection.execute(query):
        dataset = Dataset(**{name: getattr(row, name) for name in Dataset.__struct_fields__})
        found[row.run_pk].append(DatasetInput(dataset=dataset, tags=from_json(row.tags)))
    return found


def _model_ids(connection: Connection, run_ids: Sequence[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {run_id: [] for run_id in run_ids}
    columns = tables.models.c
    query = select(columns.source_run_id, columns.model_id).where(columns.source_run_id.in_(run_ids))
    for run_id, model_id in connection.execute(query.order_by(columns.creation_timestamp)):
        found[run_id].append(model_id)
    return found
