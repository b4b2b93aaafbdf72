"""Runs on SQL."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from msgspec import structs

from ratoon.clock import now_ms
from ratoon.entities import (
    DatasetInput,
    LifecycleStage,
    ModelOutput,
    Page,
    Query,
    Run,
    RunBatch,
    RunStatus,
)
from ratoon.errors import InvalidInput, NotFound
from ratoon.stores.limits import check_batch, check_input, check_int64, check_name, check_run, check_text
from ratoon.stores.protocol import EVERYTHING
from ratoon.stores.sql.part import SqlPart
from ratoon.stores.sql.prepared import Prepared, assignments, insertion
from ratoon.stores.sql.reading import (
    INPUT,
    OUTPUT,
    active_experiment,
    active_run,
    experiment_number,
    read_run,
    read_runs,
    require_run,
    to_json,
)
from ratoon.stores.sql.writing import NAME_TAG, link_models, write_batch, write_dataset, write_input, write_parts

CONTEXT_TAG = "mlflow.data.context"


class SqlRuns(SqlPart):
    """Runs, and what they log. See :class:`ratoon.stores.protocol.RunStore` for each method."""

    def create_run(self, run: Run) -> Run:
        """Store a new run with its params and tags; one that exists already under the same id is returned as it is."""
        check_run(run)
        row = {name: getattr(run, name) for name in _COLUMNS}
        with self._database.writing() as connection:
            row["experiment_id"] = active_experiment(connection, run.experiment_id).experiment_id
            created = _CREATE.first(connection, row)
            if created is None:
                return read_run(connection, run.run_id)
            write_parts(connection, created, RunBatch(run_id=run.run_id, params=run.params, tags=run.tags))
            if run.tags.get(NAME_TAG, run.run_name) != run.run_name:
                return read_run(connection, run.run_id)
        # What is there now is what was given: only what is not stored with a new run must not be in the answer.
        return structs.replace(
            run, experiment_id=str(row["experiment_id"]), metrics={}, inputs=(), model_inputs=(), model_outputs=()
        )

    def get_run(self, run_id: str) -> Run:
        """Read a run with everything that was recorded, a deleted one too; NotFound if there is none."""
        with self._database.reading() as connection:
            return read_run(connection, run_id)

    def update_run(
        self, run_id: str, *, status: RunStatus | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> Run:
        """Change what is given; an end time of None with a status of RUNNING takes the end away again."""
        changes: dict[str, Any] = {}
        if status is not None:
            changes["status"] = status
        if end_time is not None or status == RunStatus.RUNNING:
            check_int64("end time", end_time)
            changes["end_time"] = end_time
        if run_name is not None:
            changes["run_name"] = check_name("run", run_name)
        with self._database.writing() as connection:
            row = active_run(connection, run_id)
            if changes:
                row = _change(tuple(changes)).first(connection, {"run_pk": row.run_pk, **changes})
            if run_name is not None:
                renamed = {"run_pk": row.run_pk, "key": NAME_TAG, "value": changes["run_name"]}
                _CHANGE_TAG.run(connection, renamed)
            return read_runs(connection, [row])[0]

    def search_runs(self, experiment_ids: Sequence[str] = (), query: Query = EVERYTHING) -> Page[Run]:
        """Runs of the experiments (of all if none is given) that fulfil a query, the last started first."""
        from ratoon.stores.sql.run_search import RUNS, search_runs
        from ratoon.stores.sql.searching import ask

        numbers = sorted({experiment_number(each) for each in experiment_ids})
        asked = ask(RUNS, query, numbers)
        with self._database.reading() as connection:
            rows, token = search_runs(connection.core, asked, numbers, query.view)
            return Page(tuple(read_runs(connection, rows)), token)

    def move_run(self, run_id: str, stage: LifecycleStage) -> None:
        """Delete a run, or restore it; InvalidInput if its experiment is deleted."""
        with self._database.writing() as connection:
            experiment_id = str(require_run(connection, run_id).experiment_id)
            if stage == LifecycleStage.ACTIVE:
                active_experiment(connection, experiment_id)
            deleted_time = None if stage == LifecycleStage.ACTIVE else now_ms()
            _MOVE.run(connection, {"run_id": run_id, "lifecycle_stage": stage, "deleted_time": deleted_time})

    def log_batch(self, batch: RunBatch) -> None:
        """Write a batch in one transaction: all of it or none."""
        check_batch(batch)
        with self._database.writing() as connection:
            write_batch(connection, batch)

    def delete_run_tag(self, run_id: str, key: str) -> None:
        """Take a tag away; NotFound if it is not there."""
        with self._database.writing() as connection:
            if not _DELETE_TAG.run(connection, {"run_pk": active_run(connection, run_id).run_pk, "key": key}):
                raise NotFound(
                    f"tag {key!r} of run '{run_id}' does not exist; look at its tags with 'ratoon runs show'"
                )

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput], model_ids: Sequence[str] = ()) -> None:
        """Record datasets and models that the run used; one that is recorded already is left as it is."""
        for given in inputs:
            check_input(given)
        _check_ids(model_ids)
        with self._database.writing() as connection:
            run = active_run(connection, run_id)
            for given in sorted(inputs, key=lambda each: (each.dataset.name, each.dataset.digest)):
                row = {
                    "run_pk": run.run_pk,
                    "dataset_pk": write_dataset(connection, run.experiment_id, given.dataset),
                    "context": given.tags.get(CONTEXT_TAG, ""),
                    "tags": to_json(given.tags),
                }
                write_input(connection, row)
            link_models(connection, run.run_pk, INPUT, dict.fromkeys(model_ids, 0))

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Record models that the run produced."""
        _check_ids([each.model_id for each in models])
        for each in models:
            check_int64("step of a model", each.step)
        with self._database.writing() as connection:
            run = active_run(connection, run_id)
            link_models(connection, run.run_pk, OUTPUT, {each.model_id: each.step for each in models})


# What of a run is in its own row.
_COLUMNS = (
    "run_id",
    "run_name",
    "experiment_id",
    "user_id",
    "status",
    "start_time",
    "end_time",
    "artifact_uri",
    "lifecycle_stage",
)
_CREATE = Prepared(f"{insertion('runs', _COLUMNS)} ON CONFLICT DO NOTHING RETURNING *")
# One that is deleted already keeps the time at which that was.
_MOVE = Prepared(
    f"UPDATE runs SET {assignments(('lifecycle_stage', 'deleted_time'))}"
    " WHERE run_id = :run_id AND lifecycle_stage <> :lifecycle_stage"
)
_CHANGE_TAG = Prepared("UPDATE tags SET value = :value WHERE run_pk = :run_pk AND key = :key")
_DELETE_TAG = Prepared("DELETE FROM tags WHERE run_pk = :run_pk AND key = :key")


@functools.cache
def _change(columns: tuple[str, ...]) -> Prepared:
    return Prepared(f"UPDATE runs SET {assignments(columns)} WHERE run_pk = :run_pk RETURNING *")


def _check_ids(model_ids: Sequence[str]) -> None:
    for model_id in model_ids:
        check_text("model id", model_id, 36)
        if not model_id:
            raise InvalidInput("model id is empty; give the id of a logged model")
