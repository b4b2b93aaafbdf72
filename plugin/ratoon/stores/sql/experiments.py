"""Experiments on SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, String, Table, bindparam, cast, func, select, update
from sqlalchemy.exc import IntegrityError

from ratoon.clock import now_ms
from ratoon.entities import Experiment, LifecycleStage, Page, Query, ViewType
from ratoon.errors import AlreadyExists
from ratoon.stores import fields
from ratoon.stores.limits import MAX_TEXT, check_name, check_tags, check_text
from ratoon.stores.protocol import EVERYTHING, TagChanges
from ratoon.stores.sql import tables
from ratoon.stores.sql.conditions import Condition, Subject
from ratoon.stores.sql.database import insert_into
from ratoon.stores.sql.part import SqlPart
from ratoon.stores.sql.prepared import Prepared
from ratoon.stores.sql.reading import active_experiment, read_experiments, require_experiment
from ratoon.stores.sql.searching import ask, search
from ratoon.stores.sql.writing import change_pairs, overwrite_pairs

_TABLE = tables.experiments
_SUBJECT = Subject(
    kind="experiments",
    table=_TABLE,
    fields=fields.EXPERIMENT,
    columns={"experiment_id": cast(_TABLE.c.experiment_id, String)},
    pairs={"tag": tables.experiment_tags},
    owner=("experiment_id",),
    ties=((_TABLE.c.experiment_id, False),),
)
_BY_NAME = Prepared(lambda _: select(_TABLE).where(_TABLE.c.name == bindparam("wanted")))


class SqlExperiments(SqlPart):
    """Experiments. See :class:`ratoon.stores.protocol.ExperimentStore` for each method."""

    def create_experiment(
        self, name: str, tags: Mapping[str, str] | None = None, *, artifact_location: str | None = None
    ) -> Experiment:
        """Create an experiment; AlreadyExists if the name is taken, by a deleted one too."""
        name, now = check_name("experiment", name), now_ms()
        check_tags(tags or {})
        check_text("artifact location", artifact_location or "", MAX_TEXT)
        row: dict[str, object] = {
            "name": name,
            "artifact_location": artifact_location or "",
            "lifecycle_stage": LifecycleStage.ACTIVE,
        }
        row |= {"creation_time": now, "last_update_time": now}
        with self._database.writing() as connection:
            created = insert_into(connection, _TABLE).values(row).on_conflict_do_nothing()
            number = connection.execute(created.returning(_TABLE.c.experiment_id)).scalar()
            if number is None:
                raise _taken(connection, name)
            if not artifact_location:
                _change(connection, number, artifact_location=f"mlflow-artifacts:/{number}")
            overwrite_pairs(connection, tables.experiment_tags, {"experiment_id": number}, tags or {})
            return _read(connection, str(number))

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Read an experiment, a deleted one too; NotFound if there is none."""
        with self._database.reading() as connection:
            return _read(connection, experiment_id)

    def find_experiment(self, name: str) -> Experiment | None:
        """Read an experiment by its name, a deleted one too; None if there is none."""
        wanted = {"wanted": check_name("experiment", name)}
        with self._database.reading() as connection:
            found = read_experiments(connection, _BY_NAME.rows(connection, wanted))
        return found[0] if found else None

    def search_experiments(self, query: Query = EVERYTHING) -> Page[Experiment]:
        """Experiments that fulfil a query, the newest first unless it says otherwise."""
        asked = ask(_SUBJECT, query)
        with self._database.reading() as connection:
            rows, token = search(connection, _SUBJECT, asked, in_view(_TABLE, query.view))
            return Page(tuple(read_experiments(connection, rows)), token)

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an experiment another name; AlreadyExists if it is taken."""
        name = check_name("experiment", name)
        with self._database.writing() as connection:
            row = active_experiment(connection, experiment_id, change=True)
            try:
                _change(connection, row.experiment_id, name=name, last_update_time=now_ms())
            except IntegrityError as error:
                raise AlreadyExists(f"experiment {name!r} exists already; choose another name") from error

    def move_experiment(self, experiment_id: str, stage: LifecycleStage) -> None:
        """Delete an experiment with its runs, or restore it with the runs that were deleted with it."""
        with self._database.writing() as connection:
            row = require_experiment(connection, experiment_id, lock=True)
            if row.lifecycle_stage != stage:
                (_restore if stage == LifecycleStage.ACTIVE else _delete)(connection, row)

    def tag_experiment(self, experiment_id: str, tags: TagChanges) -> None:
        """Change tags of an experiment."""
        check_tags(tags)
        with self._database.writing() as connection:
            number = active_experiment(connection, experiment_id, change=True).experiment_id
            change_pairs(connection, tables.experiment_tags, {"experiment_id": number}, tags)
            _change(connection, number, last_update_time=now_ms())


def in_view(table: Table, view: ViewType) -> Condition | None:
    """That a row is in one of the stages of a view; None where every row is."""
    if view == ViewType.ALL:
        return None
    stage = LifecycleStage.ACTIVE if view == ViewType.ACTIVE_ONLY else LifecycleStage.DELETED
    return table.c.lifecycle_stage == stage


def _read(connection: Connection, experiment_id: str) -> Experiment:
    return read_experiments(connection, [require_experiment(connection, experiment_id)])[0]


def _change(connection: Connection, number: int, **changes: object) -> None:
    connection.execute(update(_TABLE).where(_TABLE.c.experiment_id == number).values(changes))


def _delete(connection: Connection, row: Row[Any]) -> None:
    """Runs that are deleted with it bear its own time, which no run has that was deleted before."""
    runs = tables.runs.c
    of_it = runs.experiment_id == row.experiment_id
    latest = connection.execute(select(func.max(runs.deleted_time)).where(of_it)).scalar()
    now = max(now_ms(), (latest or 0) + 1)
    active = of_it & (runs.lifecycle_stage == LifecycleStage.ACTIVE)
    deleted = {"lifecycle_stage": LifecycleStage.DELETED, "deleted_time": now}
    connection.execute(update(tables.runs).where(active).values(deleted))
    _change(connection, row.experiment_id, lifecycle_stage=LifecycleStage.DELETED, last_update_time=now)


def _restore(connection: Connection, row: Row[Any]) -> None:
    runs = tables.runs.c
    with_it = (runs.experiment_id == row.experiment_id) & (runs.deleted_time == row.last_update_time)
    restored = {"lifecycle_stage": LifecycleStage.ACTIVE, "deleted_time": None}
    connection.execute(update(tables.runs).where(with_it).values(restored))
    _change(connection, row.experiment_id, lifecycle_stage=LifecycleStage.ACTIVE, last_update_time=now_ms())


def _taken(connection: Connection, name: str) -> AlreadyExists:
    stage = connection.execute(select(_TABLE.c.lifecycle_stage).where(_TABLE.c.name == name)).scalar()
    if stage == LifecycleStage.DELETED:
        return AlreadyExists(f"experiment {name!r} exists and is deleted; restore it, or choose another name")
    return AlreadyExists(f"experiment {name!r} exists already; use it, or choose another name")
