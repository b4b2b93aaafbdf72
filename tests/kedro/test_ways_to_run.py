"""The ways in which people start a pipeline: each gives one run, in the project's own store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratoon.entities import Run, RunStatus

if TYPE_CHECKING:
    from conftest import WineProject

KEDRO = Path(sys.executable).with_name("kedro")

STORED = """
number: {type: wine.datasets.JSONReport, filepath: data/02_intermediate/number.json}
scores: {type: wine.datasets.JSONReport, filepath: data/02_intermediate/scores.json}
doubled: {type: wine.datasets.JSONReport, filepath: data/02_intermediate/doubled.json}
"""

NOTEBOOK = """
%load_ext kedro.ipython
first = session.run(pipeline_names=["light"])
%reload_kedro --params=seed=7
second = session.run(pipeline_names=["light"])
assert not [name for name in catalog if "ratoon" in name], list(catalog)
"""


def metrics(run: Run) -> dict[str, float]:
    return {key: each.value for key, each in run.metrics.items() if "/" not in key}


def execute(arguments: list[str | Path], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_from_a_subfolder_the_project_is_found(project: WineProject) -> None:
    folder = project.path / "src" / "wine"
    output = execute([KEDRO, "run", "--pipelines", "light"], folder, project.environment())
    assert project.complaints(output) == []
    run = project.only_run()
    assert run.status is RunStatus.FINISHED
    assert metrics(run) == {"number": 5, "scores.half": 2.5, "doubled": 5}
    assert [path for path in project.path.rglob(".ratoon")] == [project.path / ".ratoon"]


def test_only_missing_outputs_are_recorded_and_the_others_said_to_be_there(project: WineProject) -> None:
    project.write("conf/base/catalog_light.yml", STORED)
    folder = project.path / "data" / "02_intermediate"
    assert project.kedro("run", "--pipelines", "light").returncode == 0
    (folder / "doubled.json").unlink()
    for last in ("finished", "cached"):
        done = project.kedro("run", "--pipelines", "light", "--only-missing-outputs")
        assert done.returncode == 0, done.stdout + done.stderr
        run = project.runs()[0]
        assert run.status is RunStatus.FINISHED
        graph = json.loads(project.read_artifact(run, "kedro/pipeline.json"))
        assert {node["name"]: node["status"] for node in graph["nodes"]} == {
            "begin": "cached",
            "act": "cached",
            "end": last,
        }
        assert metrics(run) == ({"doubled": 5} if last == "finished" else {})
    assert len(project.runs()) == 3


@pytest.mark.slow
def test_in_a_notebook_every_run_of_a_session_is_one(project: WineProject) -> None:
    (project.path / "notebook.ipy").write_text(NOTEBOOK, encoding="utf-8")
    ipython = Path(sys.executable).with_name("ipython")
    environment = project.environment({"IPYTHONDIR": str(project.path / ".ipython")})
    output = execute([ipython, "--no-banner", "--colors=NoColor", "notebook.ipy"], project.path, environment)
    assert "Error" not in output, output
    assert project.complaints(output) == []
    second, first = project.runs()
    assert (first.status, second.status) == (RunStatus.FINISHED, RunStatus.FINISHED)
    assert metrics(first) == {"number": 5, "scores.half": 2.5, "doubled": 5}
    assert metrics(second) == {"number": 8, "scores.half": 4, "doubled": 8}


@pytest.mark.slow
def test_a_packaged_project_is_tracked_where_it_runs(project: WineProject, tmp_path: Path) -> None:
    execute([KEDRO, "package"], project.path, project.environment())
    (wheel,) = (project.path / "dist").glob("*.whl")
    (conf,) = (project.path / "dist").glob("*.tar.gz")
    python = isolated_python(tmp_path / "venv", wheel)
    place = tmp_path / "elsewhere"
    place.mkdir()
    arguments = [python, "-m", "wine", "--pipelines", "light", "--conf-source", conf]
    output = execute(arguments, place, project.environment())
    assert project.complaints(output) == []
    run = type(project)(place).only_run()
    assert run.status is RunStatus.FINISHED
    assert metrics(run) == {"number": 5, "scores.half": 2.5, "doubled": 5}
    assert run.params == {"seed": "4", "action": "work"}


def isolated_python(folder: Path, wheel: Path) -> Path:
    """A virtual environment with the project's wheel; what the project needs is that of this environment."""
    uv = Path(sys.executable).with_name("uv")
    execute([uv, "venv", "--python", sys.executable, folder], wheel.parent, dict(os.environ))
    python = folder / "bin" / "python"
    installed = Path(pytest.__file__).parents[1]
    (packages,) = folder.glob("lib/*/site-packages")
    (packages / "needs.pth").write_text(f"import site; site.addsitedir({str(installed)!r})\n", encoding="utf-8")
    execute([uv, "pip", "install", "--offline", "--no-deps", "--python", python, wheel], folder, dict(os.environ))
    return python


def test_while_a_node_runs_its_datasets_can_be_seen_already(project: WineProject) -> None:
    project.write("conf/base/catalog_light.yml", STORED)
    process = project.start("run", "--pipelines", "light", "--params", "action=wait")
    try:
        deadline = time.monotonic() + 60
        names: set[str] = set()
        while names != {"number"} and time.monotonic() < deadline:
            time.sleep(0.2)
            if (project.path / "waiting").exists():
                names = {each.dataset.name for each in project.only_run().inputs}
        assert names == {"number"}
        assert project.only_run().status is RunStatus.RUNNING
    finally:
        process.kill()
        process.communicate()
