"""Runs behind a server, and what they log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ratoon.entities import DatasetInput, LifecycleStage, Metric, ModelOutput, Page, Query, Run, RunBatch, RunStatus
from ratoon.errors import NotFound
from ratoon.stores.limits import check_batch, check_name
from ratoon.stores.protocol import EVERYTHING
from ratoon.stores.rest.experiments import RestExperiments
from ratoon.stores.rest.mapping import from_dict, from_input, from_metric, to_run
from ratoon.stores.rest.part import page_of, paging


class Limits(NamedTuple):
    """What a server takes in one request: points, params or tags, and bytes."""

    metrics: int
    pairs: int
    size: int


# MLflow's server takes 1 MB, ratoon's several; the length of a value in JSON is only estimated.
OF_MLFLOW = Limits(1000, 100, 800_000)
OF_RATOON = Limits(10_000, 1000, 8_000_000)


class RestRuns(RestExperiments):
    """See :class:`ratoon.stores.protocol.RunStore` for each method."""

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
        made = to_run(self._connection.post("/runs/create", body, repeatable=repeatable)["run"])
        if (made.run_name, made.start_time, made.user_id) != (run.run_name, run.start_time, run.user_id):
            return made
        return self._completed(made, run)

    def get_run(self, run_id: str) -> Run:
        """Read a run with everything that was recorded, a deleted one too; NotFound if there is none."""
        return to_run(self._connection.get("/runs/get", run_id=run_id)["run"])

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
        body = paging(query) | {"run_view_type": query.view.value}
        body["experiment_ids"] = self._experiment_ids(list(experiment_ids))
        return page_of(self._connection.post("/runs/search", body), "runs", to_run)

    def move_run(self, run_id: str, stage: LifecycleStage) -> None:
        """Delete a run, or restore it."""
        verb = "delete" if stage == LifecycleStage.DELETED else "restore"
        self._connection.post(f"/runs/{verb}", {"run_id": run_id})

    def log_batch(self, batch: RunBatch) -> None:
        """Write a batch, in parts if it is larger than one request may be: a part is written whole or not at all."""
        check_batch(batch)
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
        body = {
            "run_id": run_id,
            "datasets": [from_input(each) for each in inputs],
            "models": [{"model_id": model_id} for model_id in model_ids],
        }
        self._connection.post("/runs/log-inputs", body)

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Record models that the run produced."""
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

    def _run_or_none(self, run_id: str) -> Run | None:
        try:
            return self.get_run(run_id)
        except NotFound:
            return None


def parts_of(batch: RunBatch, limits: Limits) -> list[RunBatch]:
    """Batches that a server takes, params first: a param that is refused is refused before anything is written.

    What fits into one goes as one; else each kind goes on its own, as MLflow's limit for all kinds together demands.
    """
    counts = (len(batch.metrics), len(batch.params), len(batch.tags))
    if sum(counts) <= limits.metrics and max(counts[1:]) <= limits.pairs and _size(batch) <= limits.size:
        return [batch]
    run_id = batch.run_id
    parts = [
        RunBatch(run_id=run_id, params=dict(pairs))
        for pairs in _slices(list(batch.params.items()), limits.pairs, limits.size)
    ]
    parts += [
        RunBatch(run_id=run_id, tags=dict(pairs))
        for pairs in _slices(list(batch.tags.items()), limits.pairs, limits.size)
    ]
    parts += [
        RunBatch(run_id=run_id, metrics=tuple(points))
        for points in _slices(list(batch.metrics), limits.metrics, limits.size)
    ]
    return parts


def _size(batch: RunBatch) -> int:
    return sum(map(_length, (*batch.metrics, *batch.params.items(), *batch.tags.items())))


def _slices(items: list[Any], most: int, size: int) -> Iterator[list[Any]]:
    taken: list[Any] = []
    length = 0
    for item in items:
        more = _length(item)
        if taken and (len(taken) == most or length + more > size):
            yield taken
            taken, length = [], 0
        taken.append(item)
        length += more
    if taken:
        yield taken


def _length(item: Any) -> int:
    """About as many bytes as an item takes in JSON; a character takes at most six."""
    if isinstance(item, Metric):
        return 120 + len(item.key)
    key, value = item
    return 40 + len(key) + (len(value) if value.isascii() else 6 * len(value))
