"""The example with real patients does what its README says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import yaml

from ratoon.entities import RunStatus
from ratoon.errors import NotFound
from ratoon.tracking.models import load_model

if TYPE_CHECKING:
    from conftest import WineProject

EXAMPLE = Path(__file__).parents[2] / "examples" / "kedro_diabetes"
MODELS = ("ridge", "boosting")


@pytest.fixture(scope="module")
def clinic(fresh: Callable[[Path], WineProject]) -> WineProject:
    """A copy of the example, in which its default pipeline has run."""
    project = fresh(EXAMPLE)
    done = project.kedro("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.complaints(done.stdout + done.stderr) == []
    return project


def test_its_code_does_not_know_ratoon() -> None:
    # But for settings.py, which says that nothing needs to be said.
    texts = {path.name: path.read_text() for path in EXAMPLE.rglob("*.py")}
    assert [name for name, text in texts.items() if re.search("import ratoon|from ratoon", text)] == []


def test_every_file_is_in_the_readme() -> None:
    readme = (EXAMPLE / "README.md").read_text()
    named = [path.relative_to(EXAMPLE).as_posix() for path in EXAMPLE.rglob("*.*") if path.suffix in (".yml", ".csv")]
    assert [name for name in named if name not in readme] == []


@pytest.mark.slow
def test_the_run_has_everything(clinic: WineProject) -> None:
    run = clinic.only_run()
    assert run.status is RunStatus.FINISHED
    assert run.run_name == "__default__ no-git"
    assert run.params["boosting.options.max_depth"] == "2"
    assert run.metrics["evaluation.mae"].value == min(run.metrics[f"{each}.scores.mae"].value for each in MODELS)
    assert run.metrics["boosting.learning.loss"].step == 119
    assert clinic.read_artifact(run, "kedro/figures/predicted.png").startswith(b"\x89PNG")
    names = {model.name for model in clinic.client().tracking.run_models(run.run_id)}
    assert {"boosting.model", "ridge.model", "regressor", "diabetes_service"} <= names


@pytest.mark.slow
def test_the_better_model_and_the_pipeline_are_challengers(clinic: WineProject) -> None:
    client = clinic.client()
    patients = pd.read_csv(EXAMPLE / "data" / "01_raw" / "patients.csv")
    service = load_model("models:/diabetes-service@challenger", trust="code", client=client)
    predicted = service.predict(patients.drop(columns="progression"))
    assert list(predicted.columns) == ["progression"]
    assert (predicted["progression"] - patients["progression"]).abs().mean() < 50
    assert load_model("models:/diabetes@challenger", client=client).info.flavors.keys() >= {"sklearn"}


@pytest.mark.slow
def test_the_sweep_finds_better_values(clinic: WineProject) -> None:
    done = clinic.kedro("ratoon", "sweep", "--trials", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 trials: 3 complete" in done.stdout
    space = yaml.safe_load((EXAMPLE / "conf" / "base" / "sweep.yml").read_text())["space"]
    trials = [run for run in clinic.runs() if "ratoon.sweep.trial" in run.tags]
    assert len({tuple(run.params[name] for name in space) for run in trials}) == 3
    with pytest.raises(NotFound):  # a trial comes to nothing but its metrics
        clinic.client().registry.get_version("diabetes", 2)
