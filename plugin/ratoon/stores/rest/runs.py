"""Runs behind a server, and what they log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from ratoon.entities import DatasetInput, LifecycleStage, ModelOutput, Page, Query, Run, RunBatch, RunStatus
from ratoon.errors import NotFound
from ratoon.remote.connection import Connection
from ratoon.stores import fields
from ratoon.stores.limits import check_batch, check_input, check_name
from ratoon.stores.protocol import EVERYTHING
from ratoon.stores.rest.batches import OF_MLFLOW, OF_RATOON, check_for_mlflow, new_inputs, parts_of
from ratoon.stores.rest.experiments import RestExperiments
from ratoon.stores.rest.mapping import from_dict, from_input, from_metric, to_run


class RestRuns(RestExperiments):
    """See :class:`ratoon.stores.protocol.RunStore` for each method."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._known_models: set[str] = set()

    def create_run(self, run: Run) -> Run:
        """Store a new run; ratoon's server under the given id, MLflow's under one of its own: that of the answer.

        MLflow's request has no params and no status: what the answer lacks of a run that is ours is written behind it.
        """
        check_name("run", run.run_name)
        check_batch(RunBatch(run_id=run.run_id, params=run.params, tags=run.tags))
        body = {
            "run_id": run.run_id,
            "experiment_id": run.experiment_id,
            "user_id": run.user_id,
            "run_name": run.run_name,
            "start_time": run.start_time,
            "tags": from_dict(run.tags),
        }
        repeatable = self._connection.is_ratoon  # there the id makes a second time the same run
        made = self._run(self._connection.post("/runs/create", body, repeatable=repeatable)["run"])
        if (made.run_name, made.start_time, made.user_id) != (run.run_name, run.start_time, run.user_id):
            return made
        return self._completed(made, run)

    def get_run(self, run_id: str) -> Run:
        """Read a run with everything that was recorded, a deleted one too; NotFound if there is none."""
        return self._run(self._connection.get("/runs/get", run_id=run_id)["run"])

    def update_run(
        self, run_id: str, *, status: RunStatus | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> Run:
        """Change what is given; an end time of None with a status of RUNNING takes the end away again."""
        body: dict[str, Any] = {"run_id": run_id}
        if status is not None:
            body["status"] = status.value
        if end_time is not None:
            body["end_time"] = end_time
        if run_name is not None:
            body["run_name"] = check_name("run", run_name)
        self._connection.post("/runs/update", body)
        return self.get_run(run_id)

    def search_runs(self, experiment_ids: Sequence[str] = (), query: Query = EVERYTHING) -> Page[Run]:
        """Runs of the experiments (of all if none is given) that fulfil a query, the last started first."""
        asked = self._ask(fields.RUN, query, experiment_ids)
        places = {"run_view_type": query.view.value, "experiment_ids": self._experiment_ids(list(experiment_ids))}
        return asked.page(self._connection.post("/runs/search", asked.body | places), "runs", self._run)

    def move_run(self, run_id: str, stage: LifecycleStage) -> None:
        """Delete a run, or restore it."""
        verb = "delete" if stage == LifecycleStage.DELETED else "restore"
        if verb == "restore" and not self._connection.is_ratoon:  # MLflow's server does not look at the experiment
            self._check_active(self.get_run(run_id).experiment_id)
        self._connection.post(f"/runs/{verb}", {"run_id": run_id})

    def log_batch(self, batch: RunBatch) -> None:
        """Write a batch, in parts if it is larger than one request may be: a part is written whole or not at all."""
        check_batch(batch)
        if not self._connection.is_ratoon:
            check_for_mlflow(batch)
            self._check_models(batch)
        for part in parts_of(batch, OF_RATOON if self._connection.is_ratoon else OF_MLFLOW):
            body = {
                "run_id": part.run_id,
                "metrics": [from_metric(metric) for metric in part.metrics],
                "params": from_dict(part.params),
                "tags": from_dict(part.tags),
            }
            self._connection.post("/runs/log-batch", body)

    def delete_run_tag(self, run_id: str, key: str) -> None:
        """Take a tag away; NotFound if it is not there."""
        self._connection.post("/runs/delete-tag", {"run_id": run_id, "key": key})

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput], model_ids: Sequence[str] = ()) -> None:
        """Record datasets and models that the run used; one that is recorded already is left as it is."""
        for each in inputs:
            check_input(each)
        if not self._connection.is_ratoon:
            inputs, model_ids = new_inputs(self.get_run(run_id), inputs, model_ids)
        body = {
            "run_id": run_id,
            "datasets": [from_input(each) for each in inputs],
            "models": [{"model_id": model_id} for model_id in model_ids],
        }
        self._connection.post("/runs/log-inputs", body)

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Record models that the run produced."""
        if not self._connection.is_ratoon:  # MLflow's server refuses one that it has
            known = {each.model_id for each in self.get_run(run_id).model_outputs}
            models = [each for each in models if each.model_id not in known]
        body = {"run_id": run_id, "models": [{"model_id": each.model_id, "step": each.step} for each in models]}
        self._connection.post("/runs/outputs", body)

    def _completed(self, made: Run, run: Run) -> Run:
        """Write what the request for a new run has no room for."""
        missing = {key: value for key, value in run.params.items() if key not in made.params}
        ended = made.status == RunStatus.RUNNING and (run.status, run.end_time) != (made.status, made.end_time)
        if missing:
            self.log_batch(RunBatch(run_id=made.run_id, params=missing))
        if ended:
            return self.update_run(made.run_id, status=run.status, end_time=run.end_time)
        return self.get_run(made.run_id) if missing else made

    def _run(self, found: dict[str, Any]) -> Run:
        """A run that goes on has no end: MLflow's server keeps the one that it had."""
        run = to_run(found)
        if run.end_time is not None and run.status == RunStatus.RUNNING and not self._connection.is_ratoon:
            return replace(run, end_time=None)
        return run

    def _check_models(self, batch: RunBatch) -> None:
        """Find the models that were measured: MLflow's server keeps half of a batch with one that it does not know."""
        for model_id in {metric.model_id for metric in batch.metrics if metric.model_id} - self._known_models:
            self._connection.get(f"/logged-models/{quote(model_id, safe='')}")
            self._known_models.add(model_id)

    def _run_or_none(self, run_id: str) -> Run | None:
        try:
            return self.get_run(run_id)
        except NotFound:
            return None
