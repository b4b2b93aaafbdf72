"""Every runner and start method records what the sequential runner records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ratoon.entities import Run, RunStatus
from ratoon.tracking.models import load_model

if TYPE_CHECKING:
    from conftest import WineProject


class Seen(NamedTuple):
    """What must not depend on the runner."""

    params: dict[str, str]
    metrics: dict[str, float | None]
    datasets: set[tuple[str, str]]
    models: dict[str, list[Any]]
    tags: dict[str, str]
    statuses: dict[str, str]


def run_lab(project: WineProject, *arguments: str, env: dict[str, str] | None = None) -> tuple[Run, str]:
    done = project.kedro("run", "--pipelines", "lab", *arguments, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.complaints(done.stdout + done.stderr) == []
    return project.runs()[0], done.stdout + done.stderr


def seen(project: WineProject, run: Run) -> Seen:
    graph = json.loads(project.read_artifact(run, "kedro/pipeline.json"))
    own = ("kedro.run_id", "kedro.runner", "kedro.command", "ratoon.command")
    return Seen(
        params=dict(run.params),
        metrics={key: None if "seconds" in key else metric.value for key, metric in run.metrics.items()},
        datasets={(each.dataset.name, each.tags["mlflow.data.context"]) for each in run.inputs},
        models={name: predictions(project, run, name) for name in model_names(project, run)},
        tags={key: value for key, value in run.tags.items() if key not in own},
        statuses={node["name"]: node["status"] for node in graph["nodes"]},
    )


def model_names(project: WineProject, run: Run) -> list[str]:
    return sorted(model.name for model in project.client().tracking.run_models(run.run_id))


def predictions(project: WineProject, run: Run, name: str) -> list[Any]:
    import pandas as pd

    wines = pd.read_csv(project.path / "data" / "01_raw" / "wines.csv").drop(columns="target")
    model = load_model(f"runs:/{run.run_id}/{name}", client=project.client())
    return list(model.predict(wines / 1000))


@pytest.fixture(scope="module")
def shared_project(template: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    return fresh(template)


@pytest.fixture(scope="module")
def sequential(shared_project: WineProject) -> Seen:
    run, _ = run_lab(shared_project)
    assert run.status is RunStatus.FINISHED
    return seen(shared_project, run)


def test_what_the_sequential_runner_records(sequential: Seen) -> None:
    assert sequential.params == {
        "loose.solver.c": "100.0",
        "loose.solver.max_iter": "400",
        "tight.options.c": "0.01",
        "tight.options.tags": '["red", "white"]',
        "tight.options.note": "None",
        "tight.options.user": "anna",
        "tight.options.database": "postgresql://[redacted]@db/wines",
        "tight.api_token": "[redacted]",
    }
    assert set(sequential.models) == {"loose_model", "tight_model"}
    assert sequential.models["loose_model"] != sequential.models["tight_model"]
    assert sequential.datasets == {("wines", "input")}
    assert set(sequential.statuses.values()) == {"finished"}


def test_a_metric_bears_its_datasets_name(sequential: Seen) -> None:
    metrics = sequential.metrics
    assert metrics["rows"] == 178
    assert metrics["loose.accuracy"] != metrics["tight.accuracy"]
    assert {"loose.accuracy", "tight.accuracy"} <= set(metrics)
    assert "accuracy" not in metrics


@pytest.mark.parametrize(
    ("runner", "start_method"),
    [
        ("ThreadRunner", None),
        ("ParallelRunner", "fork"),
        ("ParallelRunner", "spawn"),
        ("ParallelRunner", "forkserver"),
    ],
)
def test_other_runners_record_the_same(
    shared_project: WineProject, sequential: Seen, runner: str, start_method: str | None
) -> None:
    before = len(shared_project.runs())
    env = {"KEDRO_MP_CONTEXT": start_method} if start_method else {}
    run, output = run_lab(shared_project, "--runner", runner, env=env)
    assert len(shared_project.runs()) == before + 1
    assert run.status is RunStatus.FINISHED
    assert run.tags["kedro.runner"] == runner
    assert run.tags["kedro.command"] == f"kedro run --pipelines lab --runner {runner}"
    assert seen(shared_project, run) == sequential
    assert "t0p-s3cret" not in output


def test_loading_and_saving_in_threads_records_the_same(shared_project: WineProject, sequential: Seen) -> None:
    run, _ = run_lab(shared_project, "--runner-params", "is_async=True")
    assert seen(shared_project, run) == sequential


def test_no_secret_is_anywhere_in_the_store(shared_project: WineProject, sequential: Seen) -> None:
    done = shared_project.kedro("run", "--pipelines", "lab", "--params", "tight.options.password=s3same,seed=3")
    assert done.returncode == 0, done.stdout + done.stderr
    run = shared_project.runs()[0]
    assert run.tags["kedro.command"] == (
        "kedro run --pipelines lab --params 'tight.options.password=[redacted],seed=3'"
    )
    home = shared_project.path / ".ratoon"
    content = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    for secret in (b"t0p-s3cret", b"hunter2", b"s3same"):
        assert secret not in content
