"""Runs, and what is logged to them."""

from __future__ import annotations

from ratoon.clock import now_ms
from ratoon.entities import LifecycleStage, Run, RunBatch, RunStatus
from ratoon.errors import InvalidInput
from ratoon.server.endpoint import Answer, Call, Permission
from ratoon.server.wire.fields import mapping, new_id, one_of_each, page, query_of
from ratoon.server.wire.runs import (
    CreateRun,
    DeleteTag,
    LogBatch,
    LogMetric,
    LogParam,
    OneRun,
    SearchRuns,
    SetTag,
    UpdateRun,
    info_json,
    metric_of,
    run_json,
)
from ratoon.tracking.client import Client
from ratoon.tracking.context import random_name

RUN_NAME = "mlflow.runName"
# The experiment that is always there: runs go to it that name none.
DEFAULT_ID = "0"


def create(client: Client, request: CreateRun) -> Answer:
    """Start a run; the same ``run_id`` again answers with the run that is there."""
    tags = mapping(request.tags)
    name = _name_of(request.run_name, tags.get(RUN_NAME))
    home = client.tracking.get_experiment(request.experiment_id or DEFAULT_ID)
    if home.lifecycle_stage is LifecycleStage.DELETED:
        raise InvalidInput(f"experiment '{home.experiment_id}' is deleted; restore it, or choose another one")
    run_id = request.run_id or new_id()
    run = Run(
        run_id=run_id,
        run_name=name,
        experiment_id=home.experiment_id,
        user_id=request.user_id or tags.get("mlflow.user", ""),
        status=RunStatus.RUNNING,
        start_time=now_ms() if request.start_time is None else request.start_time,
        artifact_uri=f"{home.artifact_location}/{run_id}/artifacts",
        # Our own client sends every tag that it wants, this one among them.
        tags=tags if request.run_id else tags | {RUN_NAME: name},
    )
    return {"run": run_json(client.tracking.create_run(run))}


def get(client: Client, request: OneRun) -> Answer:
    """Read a run."""
    return {"run": run_json(client.tracking.get_run(request.run))}


def update(client: Client, request: UpdateRun) -> Answer:
    """Change status, end or name."""
    run = client.tracking.update_run(
        request.run, status=request.status, end_time=request.end_time, run_name=request.run_name or None
    )
    return {"run_info": info_json(run)}


def search(client: Client, request: SearchRuns) -> Answer:
    """Find runs."""
    homes = request.experiment_ids
    if not homes:
        return {}  # MLflow's meaning of "no experiments"; ratoon's stores would take it for "all"
    found = client.tracking.search_runs(homes, query_of(request, limit=1000, view=request.run_view_type))
    return page("runs", found, run_json)


def delete(client: Client, request: OneRun) -> Answer:
    """Put a run into the bin."""
    client.tracking.move_run(request.run, LifecycleStage.DELETED)
    return {}


def restore(client: Client, request: OneRun) -> Answer:
    """Take a run out of the bin."""
    client.tracking.move_run(request.run, LifecycleStage.ACTIVE)
    return {}


def log_metric(client: Client, request: LogMetric) -> Answer:
    """Log a point."""
    client.tracking.log_batch(RunBatch(run_id=request.run, metrics=(metric_of(request),)))
    return {}


def log_param(client: Client, request: LogParam) -> Answer:
    """Log a param."""
    client.tracking.log_batch(RunBatch(run_id=request.run, params={request.key: request.value}))
    return {}


def set_tag(client: Client, request: SetTag) -> Answer:
    """Set a tag."""
    client.tracking.log_batch(RunBatch(run_id=request.run, tags={request.key: request.value}))
    return {}


def delete_tag(client: Client, request: DeleteTag) -> Answer:
    """Take a tag away."""
    client.tracking.delete_run_tag(request.run, request.key)
    return {}


def log_batch(client: Client, request: LogBatch) -> Answer:
    """Log points, params and tags: all of them or none."""
    batch = RunBatch(
        run_id=request.run,
        metrics=tuple(map(metric_of, request.metrics or ())),
        params=one_of_each("param", request.params),
        tags=mapping(request.tags),
    )
    client.tracking.log_batch(batch)
    return {}


def _name_of(given: str | None, tagged: str | None) -> str:
    if given and tagged and given != tagged:
        raise InvalidInput(
            f"the run's name is given as {given[:200]!r} and, by the tag {RUN_NAME}, as {tagged[:200]!r}; give one"
        )
    return given or tagged or random_name()


ROUTES = (
    Call("POST", "/runs/create", create, Permission.LOG, request=CreateRun, grouped=True),
    Call("GET", "/runs/get", get, Permission.READ, request=OneRun),
    Call("POST", "/runs/update", update, Permission.LOG, request=UpdateRun, grouped=True),
    Call("POST", "/runs/search", search, Permission.READ, request=SearchRuns),
    Call("POST", "/runs/delete", delete, Permission.LOG, request=OneRun),
    Call("POST", "/runs/restore", restore, Permission.LOG, request=OneRun),
    Call("POST", "/runs/log-metric", log_metric, Permission.LOG, request=LogMetric, grouped=True),
    Call("POST", "/runs/log-parameter", log_param, Permission.LOG, request=LogParam, grouped=True),
    Call("POST", "/runs/set-tag", set_tag, Permission.LOG, request=SetTag, grouped=True),
    Call("POST", "/runs/delete-tag", delete_tag, Permission.LOG, request=DeleteTag, grouped=True),
    Call("POST", "/runs/log-batch", log_batch, Permission.LOG, request=LogBatch, grouped=True),
)
