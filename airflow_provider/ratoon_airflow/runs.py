"""The tracked run that belongs to a task instance: its id, its tags, its end and its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ratoon.entities import ModelVersion, Run
    from ratoon.stores.protocol import Registry
    from ratoon.tracking.client import Client

_NAMESPACE = UUID("8b0f5b3e-6a0e-5f0e-9d0c-2f6d3c7a51aa")


def tracked_run_id(context: Context) -> str:
    """The run id of a task instance, 32 hex characters, the same in every try: a retry resumes its run."""
    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    return uuid5(_NAMESPACE, "\n".join((ti.dag_id, ti.run_id, ti.task_id, str(map_index)))).hex


def airflow_tags(context: Context) -> dict[str, str]:
    """What a run must carry so that the task which made it is found."""
    ti = context["ti"]
    tags = {
        "airflow.dag_id": ti.dag_id,
        "airflow.run_id": ti.run_id,
        "airflow.task_id": ti.task_id,
        "airflow.try_number": str(ti.try_number),
    }
    if ti.map_index is not None and ti.map_index >= 0:
        tags["airflow.map_index"] = str(ti.map_index)
    return tags


def close_run(client: Client, run_id: str, *, exit_code: int, tags: Mapping[str, str]) -> Run | None:
    """Tag the run, and end it if its process died without doing so.

    Args:
        exit_code: How the process ended; negative if a signal ended it.

    Returns:
        The run, or None if nothing was tracked under this id.
    """
    from ratoon.clock import now_ms
    from ratoon.entities import RunBatch, RunStatus
    from ratoon.errors import NotFound

    try:
        run = client.tracking.get_run(run_id)
    except NotFound:
        return None
    client.tracking.log_batch(RunBatch(run_id=run_id, tags=dict(tags)))
    if run.status is RunStatus.RUNNING:
        ended = RunStatus.FINISHED if exit_code == 0 else RunStatus.KILLED if exit_code < 0 else RunStatus.FAILED
        client.tracking.update_run(run_id, status=ended, end_time=now_ms())
    return client.tracking.get_run(run_id)


def run_report(client: Client, run: Run) -> dict[str, Any]:
    """What the next task wants to know about a run."""
    models = client.tracking.run_models(run.run_id)
    return {
        "run_id": run.run_id,
        "status": run.status,
        "metrics": {key: metric.value for key, metric in run.metrics.items()},
        "params": run.params,
        "models": {model.name: model.model_id for model in models},
        "model_versions": [
            {"name": version.name, "version": version.version} for version in versions_of(client.registry, run)
        ],
    }


def versions_of(registry: Registry, run: Run) -> list[ModelVersion]:
    """The registered versions that a run made, by name and number."""
    return list(found_versions(registry, f"run_id = '{run.run_id}'"))


def found_versions(registry: Registry, condition: str) -> Iterator[ModelVersion]:
    """The versions that fulfil a filter, by name and number, page by page."""
    from ratoon.entities import Query

    token: str | None = None
    while True:
        query = Query(filter=condition, order_by=("name", "version_number"), page_token=token)
        page = registry.search_versions(query)
        yield from page.items
        if (token := page.next_token) is None:
            return
