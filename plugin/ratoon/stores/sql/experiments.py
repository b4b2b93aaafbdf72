"""Experiments on SQL."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from ratoon.clock import now_ms
from ratoon.entities import Experiment, LifecycleStage, Page, Query
from ratoon.errors import AlreadyExists
from ratoon.stores.limits import MAX_TEXT, check_name, check_tags, check_text
from ratoon.stores.protocol import EVERYTHING, TagChanges
from ratoon.stores.sql.connection import Connection
from ratoon.stores.sql.pairs import EXPERIMENT_TAGS
from ratoon.stores.sql.part import SqlPart
from ratoon.stores.sql.prepared import Prepared, assignments, insertion
from ratoon.stores.sql.reading import Row, active_experiment, read_experiments, require_experiment


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
            created = _CREATE.first(connection, row)
            if created is None:
                raise _taken(connection, name)
            number = created.experiment_id
            if not artifact_location:
                _change(connection, number, artifact_location=f"mlflow-artifacts:/{number}")
            EXPERIMENT_TAGS.put(connection, {"experiment_id": number}, tags or {})
            return _read(connection, str(number))

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Read an experiment, a deleted one too; NotFound if there is none."""
        with self._database.reading() as connection:
            return _read(connection, experiment_id)

    def find_experiment(self, name: str) -> Experiment | None:
        """Read an experiment by its name, a deleted one too; None if there is none."""
        wanted = {"name": check_name("experiment", name)}
        with self._database.reading() as connection:
            found = read_experiments(connection, _BY_NAME.rows(connection, wanted))
        return found[0] if found else None

    def search_experiments(self, query: Query = EVERYTHING) -> Page[Experiment]:
        """Experiments that fulfil a query, the newest first unless it says otherwise."""
        from ratoon.stores.sql.experiment_search import search_experiments

        with self._database.reading() as connection:
            rows, token = search_experiments(connection.core, query)
            return Page(tuple(read_experiments(connection, rows)), token)

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an experiment another name; AlreadyExists if it is taken."""
        name = check_name("experiment", name)
        with self._database.writing() as connection:
            row = active_experiment(connection, experiment_id, change=True)
            try:
                _change(connection, row.experiment_id, name=name, last_update_time=now_ms())
            except connection.driver.IntegrityError as error:
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
            EXPERIMENT_TAGS.change(connection, {"experiment_id": number}, tags)
            _change(connection, number, last_update_time=now_ms())


def _read(connection: Connection, experiment_id: str) -> Experiment:
    return read_experiments(connection, [require_experiment(connection, experiment_id)])[0]


def _change(connection: Connection, number: int, **changes: object) -> None:
    _changing(tuple(changes)).run(connection, {"experiment_id": number, **changes})


def _delete(connection: Connection, row: Row) -> None:
    """Runs that are deleted with it bear its own time, which no run has that was deleted before."""
    latest = _LAST_DELETION.first(connection, {"experiment_id": row.experiment_id})[0]
    now = max(now_ms(), (latest or 0) + 1)
    _DELETE_RUNS.run(connection, {"experiment_id": row.experiment_id, "deleted_time": now})
    _change(connection, row.experiment_id, lifecycle_stage=LifecycleStage.DELETED, last_update_time=now)


def _restore(connection: Connection, row: Row) -> None:
    _RESTORE_RUNS.run(connection, {"experiment_id": row.experiment_id, "deleted_time": row.last_update_time})
    _change(connection, row.experiment_id, lifecycle_stage=LifecycleStage.ACTIVE, last_update_time=now_ms())


def _taken(connection: Connection, name: str) -> AlreadyExists:
    if _BY_NAME.first(connection, {"name": name}).lifecycle_stage == LifecycleStage.DELETED:
        return AlreadyExists(f"experiment {name!r} exists and is deleted; restore it, or choose another name")
    return AlreadyExists(f"experiment {name!r} exists already; use it, or choose another name")


_COLUMNS = ("name", "artifact_location", "lifecycle_stage", "creation_time", "last_update_time")
_CREATE = Prepared(f"{insertion('experiments', _COLUMNS)} ON CONFLICT DO NOTHING RETURNING experiment_id")
_BY_NAME = Prepared("SELECT * FROM experiments WHERE name = :name")
_LAST_DELETION = Prepared("SELECT max(deleted_time) FROM runs WHERE experiment_id = :experiment_id")
_DELETE_RUNS = Prepared(
    f"UPDATE runs SET lifecycle_stage = '{LifecycleStage.DELETED}', deleted_time = :deleted_time"
    f" WHERE experiment_id = :experiment_id AND lifecycle_stage = '{LifecycleStage.ACTIVE}'"
)
_RESTORE_RUNS = Prepared(
    f"UPDATE runs SET lifecycle_stage = '{LifecycleStage.ACTIVE}', deleted_time = NULL"
    " WHERE experiment_id = :experiment_id AND deleted_time = :deleted_time"
)


@functools.cache
def _changing(columns: tuple[str, ...]) -> Prepared:
    return Prepared(f"UPDATE experiments SET {assignments(columns)} WHERE experiment_id = :experiment_id")
