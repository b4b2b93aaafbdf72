"""Removing for good what was deleted long enough ago. Rows go here; the files of what went are named for the caller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct
from sqlalchemy import Column, ColumnElement, Connection, Row, Table, delete, or_, select

from ratoon.entities import LifecycleStage
from ratoon.stores.sql import tables
from ratoon.stores.sql.database import Database

# So many keys go into one statement: not every build of SQLite takes more variables.
CHUNK = 500


class Purged(Struct, frozen=True, kw_only=True):
    """What was removed, by id, and where its files are, which nothing leads to any more."""

    experiments: tuple[str, ...]
    runs: tuple[str, ...]
    models: tuple[str, ...]
    artifact_uris: tuple[str, ...]


def purge(database: Database, before: int, *, dry_run: bool = False) -> Purged:
    """Remove experiments, runs and models that were deleted before a time, with everything that they recorded.

    A model that a registered version is made of stays, and so does its experiment.

    Args:
        database: Where they are.
        before: Milliseconds since the epoch.
        dry_run: Only say what would be removed.
    """
    with database.reading() if dry_run else database.writing() as transaction:
        connection = transaction.core
        experiments = _experiments(connection, before)
        ids = [row.experiment_id for row in experiments]
        runs = _rows(connection, tables.runs, tables.runs.c.deleted_time < before, ids)
        models = _rows(connection, tables.models, tables.models.c.last_updated_timestamp < before, ids)
        kept = set(connection.scalars(select(tables.model_versions.c.model_id)))
        models = [row for row in models if row.model_id not in kept]
        if not dry_run:
            _delete(connection, tables.models.c.model_id, (row.model_id for row in models))
            _delete(connection, tables.runs.c.run_pk, (row.run_pk for row in runs))
            _delete(connection, tables.experiments.c.experiment_id, ids)
    return Purged(
        experiments=tuple(map(str, ids)),
        runs=tuple(row.run_id for row in runs),
        models=tuple(row.model_id for row in models),
        artifact_uris=tuple(row.artifact_uri for row in (*runs, *models)),
    )


def _experiments(connection: Connection, before: int) -> Sequence[Row[Any]]:
    table, models, versions = tables.experiments, tables.models, tables.model_versions
    registered = (
        select(models.c.experiment_id)
        .join(versions, versions.c.model_id == models.c.model_id)
        .where(models.c.experiment_id == table.c.experiment_id)
    )
    return connection.execute(
        select(table).where(_deleted(table), table.c.last_update_time < before, ~registered.exists())
    ).all()


def _rows(
    connection: Connection, table: Table, long_ago: ColumnElement[bool], experiments: Sequence[int]
) -> Sequence[Row[Any]]:
    """What was deleted long ago itself, or belongs to an experiment that goes."""
    doomed = or_(_deleted(table) & long_ago, table.c.experiment_id.in_(experiments))
    return connection.execute(select(table).where(doomed)).all()


def _deleted(table: Table) -> ColumnElement[bool]:
    return table.c.lifecycle_stage == LifecycleStage.DELETED


def _delete(connection: Connection, column: Column[Any], keys: Iterable[object]) -> None:
    for chunk in _chunks(iter(keys)):
        connection.execute(delete(column.table).where(column.in_(chunk)))


def _chunks(keys: Iterator[object]) -> Iterator[list[object]]:
    while chunk := list(islice(keys, CHUNK)):
        yield chunk
