"""How what a run records becomes rows. Each function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects.sqlite import insert

from ratoon.entities import Dataset, LifecycleStage, RunBatch
from ratoon.errors import InvalidInput
from ratoon.stores.sql import tables
from ratoon.stores.sql.metrics import write_metrics
from ratoon.stores.sql.reading import read_pairs, require_run


def write_batch(connection: Connection, batch: RunBatch) -> None:
    """Write a batch to a run that is not deleted."""
    run = require_run(connection, batch.run_id)
    if run.lifecycle_stage != LifecycleStage.ACTIVE:
        raise InvalidInput(f"run '{batch.run_id}' is deleted; restore it before you log to it")
    if batch.params:
        _write_params(connection, run.run_pk, batch)
    if batch.tags:
        overwrite_pairs(connection, tables.tags, {"run_pk": run.run_pk}, batch.tags)
    if batch.metrics:
        write_metrics(connection, run.run_pk, batch.metrics)


def overwrite_pairs(
    connection: Connection, table: Table, owner: Mapping[str, object], pairs: Mapping[str, str]
) -> None:
    """Add keys and values to a table of pairs; a key that is there takes the new value."""
    if not pairs:
        return
    statement = insert(table)
    connection.execute(
        statement.on_conflict_do_update(index_elements=[*owner, "key"], set_={"value": statement.excluded.value}),
        [{**owner, "key": key, "value": value} for key, value in pairs.items()],
    )


def write_dataset(connection: Connection, experiment_id: int, dataset: Dataset) -> int:
    """Store a dataset of an experiment, once; returns its key."""
    row: dict[str, object] = {name: getattr(dataset, name) for name in Dataset.__struct_fields__}
    row["experiment_id"] = experiment_id
    connection.execute(insert(tables.datasets).values(row).on_conflict_do_nothing())
    columns = tables.datasets.c
    query = select(columns.dataset_pk).where(
        columns.experiment_id == experiment_id, columns.name == dataset.name, columns.digest == dataset.digest
    )
    number: int = connection.execute(query).scalar_one()
    return number


def _write_params(connection: Connection, run_pk: int, batch: RunBatch) -> None:
    rows = [{"run_pk": run_pk, "key": key, "value": value} for key, value in batch.params.items()]
    connection.execute(insert(tables.params).on_conflict_do_nothing(), rows)
    stored = read_pairs(connection, tables.params, "run_pk", [run_pk])[run_pk]
    for key, value in batch.params.items():
        if stored[key] != value:
            raise InvalidInput(
                f"param {key!r} of run '{batch.run_id}' is {stored[key]!r} and cannot become {value!r}; log it under"
                " another key, or start a new run"
            )
