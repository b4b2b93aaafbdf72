"""The tracking store on SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, true, tuple_, update
from sqlalchemy.dialects.sqlite import insert as upsert

from ratoon.clock import now_ms
from ratoon.entities import (
    DatasetInput,
    Experiment,
    LifecycleStage,
    Metric,
    Model,
    ModelStatus,
    Page,
    Run,
    RunBatch,
    RunStatus,
)
from ratoon.errors import AlreadyExists, NotFound
from ratoon.stores.limits import MAX_TAG, check_batch, check_key, check_name, check_text
from ratoon.stores.sql import tables
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.metrics import read_history
from ratoon.stores.sql.paging import check_limit, decode_token, page_of
from ratoon.stores.sql.reading import (
    experiment_number,
    read_experiments,
    read_model,
    read_run,
    read_runs,
    require_run,
    to_json,
)
from ratoon.stores.sql.writing import overwrite_pairs, write_batch, write_dataset

CONTEXT_TAG = "mlflow.data.context"


class SqlTrackingStore:
    """What runs record, in a database. See :class:`ratoon.stores.protocol.TrackingStore` for each method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_experiment(self, name: str, tags: Mapping[str, str] | None = None) -> Experiment:
        """Create an experiment; AlreadyExists if the name is taken."""
        name = check_name("experiment", name)
        for key, value in (tags or {}).items():
            check_key("tag", key)
            check_text(f"value of tag {key!r}", value, MAX_TAG)
        table, now = tables.experiments, now_ms()
        row = {"name": name, "artifact_location": "", "lifecycle_stage": LifecycleStage.ACTIVE}
        created = insert(table).values(**row, creation_time=now, last_update_time=now)
        with self._database.writing() as connection:
            if read_experiments(connection, table.c.name == name):
                raise AlreadyExists(f"experiment {name!r} exists already; use it, or choose another name")
            number = connection.execute(created.returning(table.c.experiment_id)).scalar_one()
            found = table.c.experiment_id == number
            connection.execute(update(table).where(found).values(artifact_location=f"mlflow-artifacts:/{number}"))
            if tags:
                overwrite_pairs(connection, tables.experiment_tags, {"experiment_id": number}, tags)
            return read_experiments(connection, found)[0]

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Read an experiment; NotFound if there is none."""
        with self._database.reading() as connection:
            found = read_experiments(connection, tables.experiments.c.experiment_id == experiment_number(experiment_id))
        if not found:
            raise NotFound(f"experiment {experiment_id!r} does not exist; list them with 'ratoon experiments'")
        return found[0]

    def find_experiment(self, name: str) -> Experiment | None:
        """Read an experiment by its name; None if there is none."""
        with self._database.reading() as connection:
            found = read_experiments(connection, tables.experiments.c.name == check_name("experiment", name))
        return found[0] if found else None

    def list_experiments(self, *, limit: int = 1000, page_token: str | None = None) -> Page[Experiment]:
        """Active experiments, newest first."""
        check_limit(limit)
        columns = tables.experiments.c
        before = columns.experiment_id < decode_token(page_token, (int,))[0] if page_token else true()
        with self._database.reading() as connection:
            active = columns.lifecycle_stage == LifecycleStage.ACTIVE
            found = read_experiments(connection, active & before, limit + 1)
        return page_of(found, [(int(experiment.experiment_id),) for experiment in found], limit)

    def create_run(self, run: Run) -> Run:
        """Store a new run with its params and tags; one that exists already under the same id is returned as it is."""
        check_name("run", run.run_name)
        check_batch(RunBatch(run_id=run.run_id, params=run.params, tags=run.tags))
        number = experiment_number(run.experiment_id)
        names = tables.runs.c.keys()
        row = {name: value for name, value in msgspec.structs.asdict(run).items() if name in names}
        with self._database.writing() as connection:
            _require_experiment(connection, run.experiment_id)
            created = upsert(tables.runs).values(row | {"experiment_id": number}).on_conflict_do_nothing()
            if connection.execute(created.returning(tables.runs.c.run_pk)).first():
                write_batch(connection, RunBatch(run_id=run.run_id, params=run.params, tags=run.tags))
            return read_run(connection, run.run_id)

    def get_run(self, run_id: str) -> Run:
        """Read a run with everything that was recorded; NotFound if there is none."""
        with self._database.reading() as connection:
            return read_run(connection, run_id)

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time: int | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Change what is given; an end time of None with a status of RUNNING takes the end away again."""
        changes: dict[str, Any] = {}
        if status is not None:
            changes["status"] = status
        if end_time is not None or status == RunStatus.RUNNING:
            changes["end_time"] = end_time
        if run_name is not None:
            changes["run_name"] = check_name("run", run_name)
        with self._database.writing() as connection:
            if changes:
                connection.execute(update(tables.runs).where(tables.runs.c.run_id == run_id).values(**changes))
            return read_run(connection, run_id)

    def list_runs(
        self, experiment_ids: Sequence[str] = (), *, limit: int = 100, page_token: str | None = None
    ) -> Page[Run]:
        """Active runs of the experiments (of all if none is given), the last started first."""
        check_limit(limit)
        columns = tables.runs.c
        query = select(tables.runs).where(columns.lifecycle_stage == LifecycleStage.ACTIVE)
        if experiment_ids:
            query = query.where(columns.experiment_id.in_([experiment_number(found) for found in experiment_ids]))
        if page_token:
            query = query.where(
                tuple_(columns.start_time, columns.run_pk) < tuple(decode_token(page_token, (int, int)))
            )
        query = query.order_by(columns.start_time.desc(), columns.run_pk.desc()).limit(limit + 1)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            runs = read_runs(connection, rows)
        return page_of(runs, [(row.start_time, row.run_pk) for row in rows], limit)

    def log_batch(self, batch: RunBatch) -> None:
        """Write a batch in one transaction: all of it or none."""
        check_batch(batch)
        with self._database.writing() as connection:
            write_batch(connection, batch)

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Record datasets that the run read or wrote; one that is recorded already is left as it is."""
        for given in inputs:
            check_name("dataset", given.dataset.name)
            check_text("digest of a dataset", given.dataset.digest, 64)
        with self._database.writing() as connection:
            run = require_run(connection, run_id)
            for given in inputs:
                dataset_pk = write_dataset(connection, run.experiment_id, given.dataset)
                row = {
                    "run_pk": run.run_pk,
                    "dataset_pk": dataset_pk,
                    "context": given.tags.get(CONTEXT_TAG, ""),
                }
                row["tags"] = to_json(given.tags)
                connection.execute(upsert(tables.run_inputs).values(row).on_conflict_do_nothing())

    def metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Every point of a metric, in the order of step and timestamp."""
        with self._database.reading() as connection:
            return read_history(connection, require_run(connection, run_id).run_pk, key)

    def create_model(self, model: Model) -> Model:
        """Store a model, and that its source run produced it."""
        check_name("model", model.name)
        row = msgspec.to_builtins(model) | {"experiment_id": experiment_number(model.experiment_id)}
        row |= {"params": to_json(model.params), "tags": to_json(model.tags)}
        created = upsert(tables.models).values(row).on_conflict_do_nothing().returning(tables.models.c.model_id)
        with self._database.writing() as connection:
            _require_experiment(connection, model.experiment_id)
            if not connection.execute(created).first():
                raise AlreadyExists(f"model '{model.model_id}' exists already; choose another id")
            return read_model(connection, model.model_id)

    def get_model(self, model_id: str) -> Model:
        """Read a model; NotFound if there is none."""
        with self._database.reading() as connection:
            return read_model(connection, model_id)

    def finalize_model(self, model_id: str, status: ModelStatus) -> Model:
        """Say whether the model's files are complete."""
        found = tables.models.c.model_id == model_id
        changes = {"status": status, "last_updated_timestamp": now_ms()}
        with self._database.writing() as connection:
            connection.execute(update(tables.models).where(found).values(changes))
            return read_model(connection, model_id)

    def run_models(self, run_id: str) -> list[Model]:
        """The models that a run produced, oldest first."""
        columns = tables.models.c
        query = select(columns.model_id).where(columns.source_run_id == run_id).order_by(columns.creation_timestamp)
        with self._database.reading() as connection:
            return [read_model(connection, model_id) for model_id in connection.scalars(query)]


def _require_experiment(connection: Connection, experiment_id: str) -> None:
    if not read_experiments(connection, tables.experiments.c.experiment_id == experiment_number(experiment_id)):
        raise NotFound(f"experiment {experiment_id!r} does not exist; create it first")
