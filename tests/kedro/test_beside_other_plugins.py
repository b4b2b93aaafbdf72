"""kedro-viz, kedro-airflow and kedro-datasets in one environment with ratoon: all work, and a run is one run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import WineProject

ROOT = Path(__file__).parents[2]
PACKAGES = ("kedro-viz", "kedro-airflow", "kedro-datasets[pandas-csvdataset]", "pandas", "scikit-learn", "skops")
KEPT_DATASETS = {
    "kept_model": "ModelDataset",
    "fr.model": "ModelDataset",
    "training": "MetricsDataset",
    "scores": "MetricsDataset",
    "report": "ArtifactDataset",
    "note": "ArtifactDataset",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kedro_with_plugins(environment_of: Callable[[str, Sequence[str]], Path]) -> Path:
    """The command ``kedro`` of an environment with the other plugins."""
    return environment_of("kedro-plugins", (*PACKAGES, "-e", f"{ROOT}[kedro]")).with_name("kedro")


@pytest.fixture(scope="module")
def project(example: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    """The project, with a dataset of kedro-datasets in its catalog and with datasets of ours."""
    made = fresh(example)
    made.add_pipeline("kept")
    catalog = made.path / "conf" / "base" / "catalog.yml"
    catalog.write_text(catalog.read_text().replace("wine.datasets.CSVTable", "pandas.CSVDataset"))
    return made


Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(kedro_with_plugins: Path, project: WineProject) -> Run:
    """Calls kedro; whatever it says is not about ratoon."""

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [kedro_with_plugins, *arguments],
            cwd=project.path,
            env=project.environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert project.complaints(output) == []
        return output

    return call


def test_a_run_is_tracked_once_by_entry_point_and_by_settings(run: Run, project: WineProject) -> None:
    run("run", "--pipelines", "kept")
    settings = project.path / "src" / "wine" / "settings.py"
    before = settings.read_text()
    settings.write_text(before + "\nfrom ratoon_kedro import RatoonHooks\n\nHOOKS = (RatoonHooks(),)\n")
    run("run", "--pipelines", "kept")
    settings.write_text(before)
    runs = project.runs()
    assert len(runs) == 2
    store = project.client().tracking
    for each in runs:
        assert sorted(model.name for model in store.run_models(each.run_id)) == ["fr.model", "kept_model"]
        assert len(store.metric_history(each.run_id, "test.accuracy")) == 1
        assert list(store.metric_history(each.run_id, "training.loss").values) == [0.9, 0.5, 0.4]
    assert runs[0].params == runs[1].params
    assert runs[0].metrics.keys() == runs[1].metrics.keys()


def test_viz_shows_our_datasets(run: Run, project: WineProject) -> None:
    run("viz", "build")
    api = project.path / "build" / "api"
    pipeline: dict[str, Any] = json.loads((api / "pipelines" / "kept").read_text())
    shown = {node["name"]: node for node in pipeline["nodes"] if node["type"] == "data"}
    for name, kind in KEPT_DATASETS.items():
        assert shown[name]["dataset_type"].endswith(f".{kind}")
    assert shown["kept_model"]["layer"] == "models"
    report = json.loads((api / "nodes" / shown["report"]["id"]).read_text())
    assert report["filepath"].endswith("data/08_reporting/report.json")
    # Nothing of ours stands in the catalog of a project that is looked at.
    assert not [name for name in shown if "ratoon" in name]


def test_viz_has_what_its_own_hooks_wrote_during_our_runs(run: Run, project: WineProject) -> None:
    run("run", "--pipelines", "training")
    stats = json.loads((project.path / ".viz" / "stats.json").read_text())
    assert stats["wines"]["rows"] == 178


def test_airflow_makes_a_dag(run: Run, project: WineProject) -> None:
    run("airflow", "create", "--pipelines", "kept", "--target-dir", "dags")
    (dag,) = (project.path / "dags").glob("*.py")
    assert all(name in dag.read_text() for name in ("prepare", "fit", "judge"))


def test_the_commands_of_all_plugins_are_there(run: Run) -> None:
    listed = run("--help")
    assert {"viz", "airflow", "ratoon"} <= set(listed.split())
