"""Datasets that say themselves what the run keeps: under every runner, once, and without a tracked run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ratoon.entities import Run, RunStatus
from ratoon.tracking.models import load_model

if TYPE_CHECKING:
    from conftest import WineProject


def add_kept(project: WineProject) -> WineProject:
    project.add_pipeline("kept")
    return project


@pytest.fixture(scope="module")
def shared(example: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    return add_kept(fresh(example))


@pytest.fixture
def kept(example: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    return add_kept(fresh(example))


def run_kept(project: WineProject, *arguments: str, env: dict[str, str] | None = None) -> str:
    done = project.kedro("run", "--pipelines", "kept", *arguments, env=env)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert project.complaints(output) == []
    return output


def seen(project: WineProject, run: Run) -> dict[str, Any]:
    """What must not depend on the runner."""
    assert run.status is RunStatus.FINISHED
    client = project.client()
    models = client.tracking.run_models(run.run_id)
    (signed,) = [model for model in models if model.name == "kept_model"]
    versions = [each for each in client.registry.search_versions().items if each.run_id == run.run_id]
    signature = load_model(f"models:/{signed.model_id}", client=client).signature
    assert signature is not None and signature.inputs is not None
    return {
        "models": sorted(model.name for model in models),
        "columns": len(signature.inputs),
        "registered": [each.name for each in versions],
        "metrics": {key: each.value for key, each in run.metrics.items() if not key.startswith(("kedro/", "system/"))},
        "losses": list(client.tracking.metric_history(run.run_id, "training.loss").values),
        "report": json.loads(project.read_artifact(run, "kedro/datasets/report/report.json"))["verdict"],
        "note": project.read_artifact(run, "kedro/datasets/note/note.txt").decode(),
    }


@pytest.fixture(scope="module")
def sequential(shared: WineProject) -> dict[str, Any]:
    run_kept(shared)
    return seen(shared, shared.runs()[0])


def test_what_a_run_keeps(sequential: dict[str, Any]) -> None:
    accuracy = sequential["metrics"]["test.accuracy"]
    assert 0.5 < accuracy <= 1
    assert sequential == {
        "models": ["fr.model", "kept_model"],
        "columns": 13,
        "registered": ["kept"],
        "metrics": {
            "training.loss": 0.4,
            "training.rows": 178,
            "test.accuracy": accuracy,
            "test.strong": 92,
            "loaded.rows": 178,
            "loaded.accuracy": accuracy,
        },
        "losses": [0.9, 0.5, 0.4],
        "report": "good",
        "note": f"accuracy: {accuracy}",
    }


def test_lineage_tells_which_model_it_was(shared: WineProject, sequential: dict[str, Any]) -> None:
    run = shared.runs()[-1]
    models = {model.name: model.model_id for model in shared.client().tracking.run_models(run.run_id)}
    paths = {(each.dataset.name, json.loads(each.dataset.source).get("path")) for each in run.inputs}
    for name, model_id in models.items():
        assert (name, f"models:/{model_id}") in paths
    assert ("scores", f"runs:/{run.run_id}/metrics/test") in paths


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runner", "start_method"),
    [
        ("ThreadRunner", None),
        ("ParallelRunner", "fork"),
        ("ParallelRunner", "spawn"),
        ("ParallelRunner", "forkserver"),
    ],
)
def test_other_runners_keep_the_same(
    shared: WineProject, sequential: dict[str, Any], runner: str, start_method: str | None
) -> None:
    run_kept(shared, "--runner", runner, env={"KEDRO_MP_CONTEXT": start_method} if start_method else None)
    assert seen(shared, shared.runs()[0]) == sequential


@pytest.mark.slow
def test_loading_and_saving_in_threads_keeps_the_same(shared: WineProject, sequential: dict[str, Any]) -> None:
    run_kept(shared, "--runner-params", "is_async=True")
    assert seen(shared, shared.runs()[0]) == sequential


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["SequentialRunner", "ParallelRunner"])
def test_without_a_tracked_run_the_pipeline_works_and_nothing_is_recorded(kept: WineProject, runner: str) -> None:
    run_kept(kept, "--runner", runner, env={"RATOON_KEDRO": "0"})
    assert not (kept.path / ".ratoon").exists()
    (report,) = (kept.path / "data" / "08_reporting").rglob("report.json/*/report.json")
    assert json.loads(report.read_text())["scores"]["strong"] == 92


NOTEBOOK = """
import json
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
with KedroSession.create(Path.cwd()) as session:
    catalog = session.load_context().catalog
    found = {
        "model": catalog.load("kept_model").C,
        "scores": catalog.load("scores"),
        "exists": [catalog.exists(name) for name in ("kept_model", "training", "report", "note")],
    }
print(json.dumps(found))
"""


@pytest.mark.slow
def test_in_a_notebook_the_newest_is_loaded_and_no_run_begins(shared: WineProject, sequential: dict[str, Any]) -> None:
    before = len(shared.runs())
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK], cwd=shared.path, env=shared.environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "model": 1.0,
        "scores": {"accuracy": sequential["metrics"]["test.accuracy"], "strong": 92},
        "exists": [True] * 4,
    }
    assert len(shared.runs()) == before


CHAMPION = """
champion:
  type: ratoon_kedro.datasets.ModelDataset
  name: kept
  alias: champion
kept_model:
  type: kedro.io.CachedDataset
  dataset:
    type: ratoon_kedro.datasets.ModelDataset
    register_as: kept
  versioned: true
scores:
  type: kedro.io.CachedDataset
  dataset:
    type: ratoon_kedro.datasets.MetricsDataset
"""


@pytest.mark.slow
def test_a_later_run_loads_by_alias_by_version_and_the_newest(kept: WineProject) -> None:
    for c in ("0.001", "1.0"):
        run_kept(kept, "--params", f"c={c}")
    client = kept.client()
    from ratoon.registry.promotion import set_alias

    set_alias(client, "kept", "champion", 1)
    kept.write(
        "conf/base/catalog_later.yml",
        "by_alias: {type: ratoon_kedro.datasets.ModelDataset, name: kept, alias: champion, load_as: predictor}\n"
        "latest: {type: ratoon_kedro.datasets.ModelDataset, uri: 'models:/kept/latest'}\n"
        "scores_of: {type: ratoon_kedro.datasets.MetricsDataset, prefix: test, run_id: "
        + kept.runs()[1].run_id
        + "}\nnote_of: {type: ratoon_kedro.datasets.ArtifactDataset, filepath: data/08_reporting/note.txt, "
        "artifact_path: kedro/datasets/note, run_id: " + kept.runs()[1].run_id + "}\n"
        "report_of: {type: ratoon_kedro.datasets.ArtifactDataset, artifact_path: kedro/datasets/report, "
        "dataset: {type: wine.datasets.JSONReport, filepath: data/report.json}, run_id: "
        + kept.runs()[1].run_id
        + "}\n",
    )
    (kept.path / "src" / "wine" / "pipelines" / "later").mkdir()
    kept.write("src/wine/pipelines/later/__init__.py", LATER)
    done = kept.kedro("run", "--pipelines", "later", "--load-versions", "kept_model:1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert kept.complaints(done.stdout + done.stderr) == []
    found = json.loads((kept.path / "found.json").read_text())
    first = kept.runs()[2]
    assert found["by_alias"] == found["kept_model"] == 0.001
    assert found["latest"] == 1.0
    assert found["scores_of"] == {
        key.removeprefix("test."): metric.value for key, metric in first.metrics.items() if key.startswith("test.")
    }
    assert found["note_of"] == f"accuracy: {found['scores_of']['accuracy']}"
    assert found["report_of"]["verdict"] == "good"
    # Without the version it is the newest that any run logged under its name.
    done = kept.kedro("run", "--pipelines", "later")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((kept.path / "found.json").read_text())["kept_model"] == 1.0


LATER = """
import json
from pathlib import Path

from kedro.pipeline import Pipeline, node


def look(kept_model, by_alias, latest, scores_of, note_of, report_of):
    found = {
        "kept_model": kept_model.C, "by_alias": by_alias.native.C, "latest": latest.C,
        "scores_of": scores_of, "note_of": note_of.read_text(), "report_of": report_of,
    }
    Path("found.json").write_text(json.dumps(found))
    return 1


def create_pipeline(**_):
    names = ["kept_model", "by_alias", "latest", "scores_of", "note_of", "report_of"]
    return Pipeline([node(look, names, "looked", name="look")])
"""


@pytest.mark.slow
def test_within_a_cache_each_thing_is_kept_once(kept: WineProject) -> None:
    text = (Path(__file__).parent / "pipelines" / "kept" / "catalog.yml").read_text()
    cached = text[text.index('"{grower}') : text.index("scores:")] + CHAMPION + text[text.index("report:") :]
    kept.write("conf/base/catalog_kept.yml", cached)
    run_kept(kept)
    run = kept.only_run()
    names = [model.name for model in kept.client().tracking.run_models(run.run_id)]
    assert sorted(names) == ["fr.model", "kept_model"]
    assert {"scores.accuracy", "scores.strong"} <= set(run.metrics)
