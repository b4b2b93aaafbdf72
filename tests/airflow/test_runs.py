"""The tracked run of a task instance, in a real store."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import uuid4

import pytest

from ratoon.clock import now_ms
from ratoon.entities import Model, ModelStatus, RunStatus
from ratoon.tracking.client import Client
from ratoon.tracking.models import register_model
from ratoon_airflow.runs import airflow_tags, close_run, run_report, tracked_run_id, versions_of


@pytest.fixture
def client(tmp_path):
    client = Client(tracking_uri=f"sqlite:///{tmp_path}/ratoon.db")
    yield client
    client.close()


def context(**changed):
    ti = {"dag_id": "dag", "run_id": "manual__1", "task_id": "train", "map_index": -1, "try_number": 1}
    return {"ti": SimpleNamespace(**ti | changed)}


def log_model(client, run, name="model"):
    """The record of a model without its files: nothing here reads them."""
    return client.tracking.create_model(
        Model(
            model_id=f"m-{uuid4().hex}",
            experiment_id=run.experiment_id,
            name=name,
            source_run_id=run.run_id,
            artifact_uri="mlflow-artifacts:/nowhere",
            status=ModelStatus.READY,
            creation_timestamp=now_ms(),
            last_updated_timestamp=now_ms(),
        )
    )


def test_the_run_id_depends_on_the_task_instance_and_not_on_the_try():
    first = tracked_run_id(context())
    assert first == tracked_run_id(context(try_number=2)) == "8231f3a374405259b383bed79c59f8ae"
    others = [{"dag_id": "other"}, {"run_id": "manual__2"}, {"task_id": "other"}, {"map_index": 0}, {"map_index": 1}]
    assert len({first, *(tracked_run_id(context(**changed)) for changed in others)}) == 1 + len(others)


def test_a_task_instance_that_knows_of_no_map_is_one_that_is_not_mapped():
    assert tracked_run_id(context(map_index=None)) == tracked_run_id(context())


def test_only_a_mapped_task_is_tagged_with_its_index():
    assert "airflow.map_index" not in airflow_tags(context())
    assert "airflow.map_index" not in airflow_tags(context(map_index=None))
    assert airflow_tags(context(map_index=3))["airflow.map_index"] == "3"


@pytest.mark.parametrize("exit_code, status", [(0, RunStatus.FINISHED), (1, RunStatus.FAILED), (-9, RunStatus.KILLED)])
def test_a_run_that_was_left_open_is_ended_by_how_its_process_ended(client, exit_code, status):
    run = client.start_run()
    closed = close_run(client, run.run_id, exit_code=exit_code, tags={"airflow.dag_id": "dag"})
    assert closed == client.tracking.get_run(run.run_id)
    assert closed.status is status and closed.end_time is not None
    assert closed.tags["airflow.dag_id"] == "dag"


def test_a_run_that_has_ended_is_tagged_and_left_as_it_is(client):
    with client.start_run() as run:
        pass
    ended = client.tracking.get_run(run.run_id)
    closed = close_run(client, run.run_id, exit_code=1, tags={"airflow.dag_id": "dag"})
    assert (closed.status, closed.end_time) == (RunStatus.FINISHED, ended.end_time)
    assert closed.tags["airflow.dag_id"] == "dag"


def test_a_run_that_nobody_began_is_none(client):
    assert close_run(client, "0" * 32, exit_code=0, tags={}) is None


def test_the_report_names_the_versions_that_the_run_made_and_no_others(client):
    with client.start_run() as earlier:
        register_model(f"models:/{log_model(client, earlier).model_id}", "wine", client=client)
    with client.start_run() as run:
        run.log_params({"depth": 4})
        run.log_metric("accuracy", 0.5)
        run.log_metric("accuracy", 0.75, step=1)
        model = log_model(client, run, "forest")
        for name in ("wine", "grape"):
            register_model(f"models:/{model.model_id}", name, client=client)
    with client.start_run() as later:
        register_model(f"models:/{log_model(client, later).model_id}", "wine", client=client)
    assert run_report(client, client.tracking.get_run(run.run_id)) == {
        "run_id": run.run_id,
        "status": "FINISHED",
        "metrics": {"accuracy": 0.75},
        "params": {"depth": "4"},
        "models": {"forest": model.model_id},
        "model_versions": [{"name": "grape", "version": 1}, {"name": "wine", "version": 2}],
    }


def test_versions_are_found_behind_the_first_page(client):
    with client.start_run() as run:
        models = [log_model(client, run) for _ in range(3)]
        versions = [register_model(f"models:/{model.model_id}", "wine", client=client) for model in models]
    with client.start_run() as later:
        for _ in range(101):
            register_model(f"models:/{log_model(client, later).model_id}", "wine", client=client)
    found = versions_of(client.registry, client.tracking.get_run(run.run_id))
    assert {version.version for version in found} == {version.version for version in versions}
