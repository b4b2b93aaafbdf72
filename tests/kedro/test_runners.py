"""Every runner and start method records what the sequential runner records, field by field."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ratoon.entities import Run, RunStatus
from ratoon.tracking.locations import artifact_key
from ratoon.tracking.models import load_model

if TYPE_CHECKING:
    from conftest import WineProject

EQUAL_ALWAYS = ("kedro/values/", "kedro/figures/", "kedro/datasets/")


class Seen(NamedTuple):
    """What must not depend on the runner."""

    params: dict[str, str]
    metrics: dict[str, list[tuple[int, float]] | None]
    datasets: dict[tuple[str, str], dict[str, Any]]
    models: dict[str, dict[str, Any]]
    tags: dict[str, str]
    artifacts: dict[str, bytes | None]
    graph: dict[str, Any]


def run_lab(project: WineProject, *arguments: str, env: dict[str, str] | None = None) -> tuple[Run, str]:
    done = project.kedro("run", "--pipelines", "lab", *arguments, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.complaints(done.stdout + done.stderr) == []
    return project.runs()[0], done.stdout + done.stderr


def seen(project: WineProject, run: Run) -> Seen:
    own = ("kedro.run_id", "kedro.runner", "kedro.command", "ratoon.command")
    return Seen(
        params=dict(run.params),
        metrics={key: history(project, run, key) for key in run.metrics},
        datasets=datasets(run),
        models={name: model(project, run, name) for name in model_names(project, run)},
        tags={key: value for key, value in run.tags.items() if key not in own},
        artifacts=artifacts(project, run),
        graph=graph(project, run),
    )


def history(project: WineProject, run: Run, key: str) -> list[tuple[int, float]] | None:
    """The points; None for times, which are never the same."""
    if "seconds" in key:
        return None
    series = project.client().tracking.metric_history(run.run_id, key)
    return list(zip(series.steps, series.values, strict=True))


def datasets(run: Run) -> dict[tuple[str, str], dict[str, Any]]:
    """What is known of each dataset in each role: versions and what depends on them or on a time is left out."""
    found = {}
    for each in run.inputs:
        dataset, source = each.dataset, json.loads(each.dataset.source)
        version = source.pop("version", None)
        if version is not None:
            assert version == run.tags["kedro.run_id"]
            source["path"] = source["path"].replace(version, "VERSION")
        found[dataset.name, each.tags["mlflow.data.context"]] = {
            "digest": None if version else dataset.digest,
            "source": source,
            "versioned": version is not None,
            "schema": dataset.schema and json.loads(dataset.schema),
            "profile": dataset.profile and json.loads(dataset.profile),
        }
    return found


def model_names(project: WineProject, run: Run) -> list[str]:
    return sorted(model.name for model in project.client().tracking.run_models(run.run_id))


def model(project: WineProject, run: Run, name: str) -> dict[str, Any]:
    import pandas as pd

    wines = pd.read_csv(project.path / "data" / "01_raw" / "wines.csv").drop(columns="target")
    loaded = load_model(f"runs:/{run.run_id}/{name}", client=project.client())
    return {
        "flavor": loaded.flavor_name,
        "inputs": [(spec.name, spec.type) for spec in loaded.signature.inputs],
        "predictions": list(loaded.predict(wines / 1000)),
    }


def artifacts(project: WineProject, run: Run) -> dict[str, bytes | None]:
    """The files of a run; the content of those in which nothing depends on a time."""
    store, root = project.client().artifacts, artifact_key(run.artifact_uri)
    found: dict[str, bytes | None] = {}
    folders = [""]
    while folders:
        folder = folders.pop()
        for entry in store.list(f"{root}/{folder}".rstrip("/")):
            path = f"{folder}/{entry.path}".lstrip("/")
            if entry.is_dir:
                folders.append(path)
            else:
                found[path] = project.read_artifact(run, path) if path.startswith(EQUAL_ALWAYS) else None
    return found


def graph(project: WineProject, run: Run) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(project.read_artifact(run, "kedro/pipeline.json"))
    for node in document["nodes"]:
        for key in ("seconds", "started", "ended"):
            assert node.pop(key) is not None
    document["nodes"].sort(key=lambda node: node["name"])
    document["edges"].sort(key=lambda edge: (edge["source"], edge["target"], edge["dataset"]))
    return document


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
    assert set(sequential.models) == {"loose.model", "tight.model"}
    first, second = sequential.models.values()
    assert first["flavor"] == second["flavor"] == "sklearn"
    assert len(first["inputs"]) == 13
    assert first["predictions"] != second["predictions"]
    assert {node["status"] for node in sequential.graph["nodes"]} == {"finished"}
    assert len(sequential.graph["nodes"]) == 9


def test_a_metric_bears_its_datasets_name(sequential: Seen) -> None:
    metrics = sequential.metrics
    assert metrics["rows"] == [(0, 178.0)]
    assert metrics["loose.scores.accuracy"] != metrics["tight.scores.accuracy"]
    assert {"loose.scores.recall.macro", "tight.scores.recall.macro"} <= set(metrics)
    assert "accuracy" not in metrics
    steps = metrics["steps.accuracy"]
    assert steps is not None
    assert [step for step, _ in steps] == [1, 2, 4, 8]


def test_datasets_are_known_by_their_content_and_in_memory(sequential: Seen) -> None:
    datasets = sequential.datasets
    assert set(datasets) == {
        ("wines", "input"),
        ("features", "output"),
        ("grower", "output"),
        ("summary", "output"),
        ("summary", "input"),
        ("verdict", "output"),
    }
    assert datasets["summary", "output"]["digest"] == datasets["summary", "input"]["digest"]
    assert datasets["verdict", "output"]["versioned"]
    assert datasets["features", "output"]["source"]["type"].endswith("MemoryDataset")
    assert datasets["features", "output"]["profile"]["num_rows"] == 178
    assert len(datasets["features", "output"]["schema"]["mlflow_colspec"]) == 13


def test_figures_values_and_files_are_kept(sequential: Seen) -> None:
    artifacts = {path: content for path, content in sequential.artifacts.items() if content is not None}
    assert set(artifacts) == {
        "kedro/figures/curve.png",
        "kedro/values/verdict.json",
        "kedro/values/columns.json",
        "kedro/datasets/summary/summary.csv",
    }
    assert artifacts["kedro/figures/curve.png"].startswith(b"\x89PNG")
    assert json.loads(artifacts["kedro/values/verdict.json"])["secret"] == "[redacted]"
    assert artifacts["kedro/datasets/summary/summary.csv"].startswith(b"index,")


@pytest.mark.parametrize(
    ("runner", "start_method"),
    [
        ("ThreadRunner", None),
        ("ParallelRunner", "fork"),
        ("ParallelRunner", "spawn"),
        ("ParallelRunner", "forkserver"),
    ],
)
@pytest.mark.slow
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
    assert_equal(seen(shared_project, run), sequential)
    assert "t0p-s3cret" not in output


@pytest.mark.slow
def test_loading_and_saving_in_threads_records_the_same(shared_project: WineProject, sequential: Seen) -> None:
    run, _ = run_lab(shared_project, "--runner-params", "is_async=True")
    assert_equal(seen(shared_project, run), sequential)


@pytest.mark.parametrize("start_method", [None, "fork", "spawn", "forkserver"])
@pytest.mark.slow
def test_pieces_and_transcoded_files_are_recorded_as_they_are_in_the_end(
    shared_project: WineProject, start_method: str | None
) -> None:
    shutil.rmtree(shared_project.path / "data" / "02_intermediate" / "by_grower", ignore_errors=True)
    arguments = ["--runner", "ParallelRunner"] if start_method else []
    env = {"KEDRO_MP_CONTEXT": start_method} if start_method else {}
    done = shared_project.kedro("run", "--pipelines", "chunks", *arguments, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert shared_project.complaints(done.stdout + done.stderr) == []
    run = shared_project.runs()[0]
    assert {key: each.value for key, each in run.metrics.items() if key.startswith("counted")} == {
        "counted.grower0": 59,
        "counted.grower1": 71,
        "counted.grower2": 48,
    }
    # A generator works while what it gives is saved: its own words belong to the run, and its time to the node.
    assert (run.metrics["cut.rows"].value, run.metrics["cut.rows"].step) == (48, 2)
    assert run.metrics["kedro/seconds/cut"].value > 0.15
    known = {(each.dataset.name, each.tags["mlflow.data.context"]): each.dataset for each in run.inputs}
    assert set(known) == {
        ("wines", "input"),
        ("by_grower", "output"),
        ("by_grower", "input"),
        ("wide", "output"),
        ("wide", "input"),
    }
    assert known["by_grower", "output"].digest == known["by_grower", "input"].digest
    assert known["wide", "output"].digest == known["wide", "input"].digest
    assert json.loads(known["wide", "output"].source)["type"] == "wine.datasets.CSVTable"
    for grower in range(3):
        content = shared_project.read_artifact(run, f"kedro/datasets/by_grower/grower{grower}.csv")
        assert content.startswith(b"alcohol,")


def assert_equal(found: Seen, expected: Seen) -> None:
    for field in Seen._fields:
        assert getattr(found, field) == getattr(expected, field), field


@pytest.mark.slow
def test_no_secret_is_anywhere_in_the_store(shared_project: WineProject, sequential: Seen) -> None:
    done = shared_project.kedro("run", "--pipelines", "lab", "--params", "tight.options.password=s3same,seed=3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[redacted]" in shared_project.runs()[0].tags["kedro.command"]
    home = shared_project.path / ".ratoon"
    content = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    for secret in (b"t0p-s3cret", b"hunter2", b"hunter3", b"s3same"):
        assert secret not in content
