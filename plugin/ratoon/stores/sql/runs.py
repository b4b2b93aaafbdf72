"""Runs on SQL."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import bindparam, delete, update

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
from ratoon.stores.sql import tables
from ratoon.stores.sql.database import insert_into
from ratoon.stores.sql.part import SqlPart
from ratoon.stores.sql.prepared import Prepared
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
from ratoon.stores.sql.run_search import RUNS, search_runs
from ratoon.stores.sql.searching import ask
from ratoon.stores.sql.writing import NAME_TAG, link_models, write_batch, write_dataset, write_parts

CONTEXT_TAG = "mlflow.data.context"

_TABLE = tables.runs


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
                row = _change(tuple(changes)).first(connection, {"number": row.run_pk, **changes})
            if run_name is not None:
                tag = (tables.tags.c.run_pk == row.run_pk) & (tables.tags.c.key == NAME_TAG)
                connection.execute(update(tables.tags).where(tag).values(value=changes["run_name"]))
            return read_runs(connection, [row])[0]

    def search_runs(self, experiment_ids: Sequence[str] = (), query: Query = EVERYTHING) -> Page[Run]:
        """Runs of the experiments (of all if none is given) that fulfil a query, the last started first."""
        numbers = sorted({experiment_number(each) for each in experiment_ids})
        asked = ask(RUNS, query, numbers)
        with self._database.reading() as connection:
            rows, token = search_runs(connection, asked, numbers, query.view)
            return Page(tuple(read_runs(connection, rows)), token)

    def move_run(self, run_id: str, stage: LifecycleStage) -> None:
        """Delete a run, or restore it; InvalidInput if its experiment is deleted."""
        with self._database.writing() as connection:
            experiment_id = str(require_run(connection, run_id).experiment_id)
            if stage == LifecycleStage.ACTIVE:
                active_experiment(connection, experiment_id)
            # One that is deleted already keeps the time at which that was.
            moved = (_TABLE.c.run_id == run_id) & (_TABLE.c.lifecycle_stage != stage)
            deleted_time = None if stage == LifecycleStage.ACTIVE else now_ms()
            changes = {"lifecycle_stage": stage, "deleted_time": deleted_time}
            connection.execute(update(_TABLE).where(moved).values(changes))

    def log_batch(self, batch: RunBatch) -> None:
        """Write a batch in one transaction: all of it or none."""
        check_batch(batch)
        with self._database.writing() as connection:
            write_batch(connection, batch)

    def delete_run_tag(self, run_id: str, key: str) -> None:
        """Take a tag away; NotFound if it is not there."""
        with self._database.writing() as connection:
            columns = tables.tags.c
            found = (columns.run_pk == active_run(connection, run_id).run_pk) & (columns.key == key)
            if not connection.execute(delete(tables.tags).where(found)).rowcount:
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
                connection.execute(insert_into(connection, tables.run_inputs).values(row).on_conflict_do_nothing())
            link_models(connection, run.run_pk, INPUT, dict.fromkeys(model_ids, 0))

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Record models that the run produced."""
        _check_ids([each.model_id for each in models])
        for each in models:
            check_int64("step of a model", each.step)
        with self._database.writing() as connection:
            run = active_run(connection, run_id)
            link_models(connection, run.run_pk, OUTPUT, {each.model_id: each.step for each in models})


_COLUMNS = [name for name in _TABLE.c.keys() if name in Run.__struct_fields__]
_CREATE = Prepared(
    lambda connection: insert_into(connection, _TABLE).on_conflict_do_nothing().returning(_TABLE), _COLUMNS
)


@functools.cache
def _change(columns: tuple[str, ...]) -> Prepared:
    changes: dict[str, Any] = {name: bindparam(name) for name in columns}
    changed = update(_TABLE).where(_TABLE.c.run_pk == bindparam("number")).values(changes).returning(_TABLE)
    return Prepared(lambda _: changed)


def _check_ids(model_ids: Sequence[str]) -> None:
    for model_id in model_ids:
        check_text("model id", model_id, 36)
        if not model_id:
            raise InvalidInput("model id is empty; give the id of a logged model")
