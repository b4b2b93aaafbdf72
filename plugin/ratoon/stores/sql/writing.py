"""How what a run records becomes rows. Each function works inside the caller's transaction.

Rows that two transactions may write at once are written in one order everywhere, so that they wait for each other and
never for nothing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ClauseElement, Connection, Row, Table, delete, select, tuple_, update

from ratoon.entities import Dataset, Metric, RunBatch
from ratoon.errors import InvalidInput, NotFound
from ratoon.stores.limits import MAX_NAME
from ratoon.stores.sql import tables
from ratoon.stores.sql.database import insert_into
from ratoon.stores.sql.metrics import write_metrics
from ratoon.stores.sql.prepared import Prepared
from ratoon.stores.sql.reading import active_run, chunks

NAME_TAG = "mlflow.runName"


def write_batch(connection: Connection, batch: RunBatch) -> None:
    """Write a batch to a run that is not deleted."""
    write_parts(connection, active_run(connection, batch.run_id), batch)


def write_parts(connection: Connection, run: Row[Any], batch: RunBatch) -> None:
    """Write a batch to the run of a row."""
    if batch.params:
        owner = {"run_pk": run.run_pk, "experiment_id": run.experiment_id}
        write_once(connection, tables.params, owner, batch.params, f"run '{batch.run_id}'")
    if batch.tags:
        write_run_tags(connection, run, batch.tags)
    if batch.metrics:
        write_metrics(connection, run, batch.metrics)
        _write_model_metrics(connection, run, batch.metrics)


def write_run_tags(connection: Connection, run: Row[Any], tags: Mapping[str, str]) -> None:
    """Add tags to a run; the one that repeats its name changes its name."""
    overwrite_pairs(connection, tables.tags, {"run_pk": run.run_pk, "experiment_id": run.experiment_id}, tags)
    name = tags.get(NAME_TAG)
    if name and name != run.run_name and len(name) <= MAX_NAME:
        connection.execute(update(tables.runs).where(tables.runs.c.run_pk == run.run_pk).values(run_name=name))


def overwrite_pairs(
    connection: Connection, table: Table, owner: Mapping[str, object], pairs: Mapping[str, str]
) -> None:
    """Add keys and values to a table of pairs; a key that is there takes the new value."""
    if not pairs:
        return
    _overwriting(table).run_many(connection, [{**owner, "key": key, "value": pairs[key]} for key in sorted(pairs)])


def change_pairs(
    connection: Connection, table: Table, owner: Mapping[str, object], changes: Mapping[str, str | None]
) -> None:
    """Add keys and values to a table of pairs, and take away those whose value is None."""
    gone = [key for key, value in changes.items() if value is None]
    if gone:
        is_owned = [table.c[name] == value for name, value in owner.items()]
        for chunk in chunks(gone):
            connection.execute(delete(table).where(*is_owned, table.c.key.in_(chunk)))
    overwrite_pairs(connection, table, owner, {key: value for key, value in changes.items() if value is not None})


def write_once(
    connection: Connection, table: Table, owner: Mapping[str, object], pairs: Mapping[str, str], whose: str
) -> None:
    """Add keys and values to a table of pairs; InvalidInput if a key is there with another value."""
    if not pairs:
        return
    keys = sorted(pairs)
    rows = [{**owner, "key": key, "value": pairs[key]} for key in keys]
    if _adding(table).run_many(connection, rows) == len(rows):
        return
    is_owned = [table.c[name] == value for name, value in owner.items()]
    for chunk in chunks(keys):
        stored = select(table.c.key, table.c.value).where(*is_owned, table.c.key.in_(chunk))
        for key, value in connection.execute(stored):
            if value != pairs[key]:
                raise InvalidInput(
                    f"param {key!r} of {whose} is {value!r} and cannot become {pairs[key]!r}; log it under another"
                    " key, or start a new run"
                )


def write_dataset(connection: Connection, experiment_id: int, dataset: Dataset) -> int:
    """Store a dataset of an experiment, once; returns its key."""
    row: dict[str, object] = {name: getattr(dataset, name) for name in Dataset.__struct_fields__}
    row["experiment_id"] = experiment_id
    connection.execute(insert_into(connection, tables.datasets).values(row).on_conflict_do_nothing())
    columns = tables.datasets.c
    query = select(columns.dataset_pk).where(
        columns.experiment_id == experiment_id, columns.name == dataset.name, columns.digest == dataset.digest
    )
    number: int = connection.execute(query).scalar_one()
    return number


def link_models(connection: Connection, run_pk: int, role: str, steps: Mapping[str, int]) -> None:
    """Record models that a run used or produced; the step of one that is recorded already is set anew."""
    if not steps:
        return
    statement = insert_into(connection, tables.run_models)
    connection.execute(
        statement.on_conflict_do_update(index_elements=_key(tables.run_models), set_={"step": statement.excluded.step}),
        [{"run_pk": run_pk, "model_id": each, "role": role, "step": steps[each]} for each in sorted(steps)],
    )


def _key(table: Table) -> list[str]:
    return [column.name for column in table.primary_key]


def _write_model_metrics(connection: Connection, run: Row[Any], metrics: Iterable[Metric]) -> None:
    """Keep the last value of each metric with the model that it was measured of."""
    measured = [metric for metric in metrics if metric.model_id is not None]
    if not measured:
        return
    rows: dict[tuple[str, ...], dict[str, object]] = {}
    for metric in sorted(measured, key=lambda each: (each.step, each.timestamp)):
        row = _model_metric(str(metric.model_id), run.run_id, metric)
        rows[tuple(str(row[name]) for name in _key(tables.model_metrics))] = row
    _require_models(connection, sorted({str(row["model_id"]) for row in rows.values()}))
    statement = insert_into(connection, tables.model_metrics)
    old, new = tables.model_metrics.c, statement.excluded
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=_key(tables.model_metrics),
            set_={name: new[name] for name in ("value", "is_nan", "timestamp", "step")},
            where=tuple_(new.step, new.timestamp) >= tuple_(old.step, old.timestamp),
        ),
        [rows[key] for key in sorted(rows)],
    )


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
    known: set[str] = set()
    for chunk in chunks(ids):
        known |= set(connection.scalars(select(tables.models.c.model_id).where(tables.models.c.model_id.in_(chunk))))
    for model_id in ids:
        if model_id not in known:
            raise NotFound(f"model '{model_id}' does not exist; create it before you log metrics of it")


@functools.cache
def _overwriting(table: Table) -> Prepared:
    def statement(connection: Connection) -> ClauseElement:
        added = insert_into(connection, table)
        return added.on_conflict_do_update(index_elements=_key(table), set_={"value": added.excluded.value})

    return Prepared(statement, table.c.keys())


@functools.cache
def _adding(table: Table) -> Prepared:
    return Prepared(lambda connection: insert_into(connection, table).on_conflict_do_nothing(), table.c.keys())
