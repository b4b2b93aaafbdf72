"""Sessions that Kedro's command line does not make: several runs in one process, one after the other and at once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ratoon.entities import RunStatus

if TYPE_CHECKING:
    from conftest import SturdyProject, WineProject

AT_ONCE = """
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from kedro.framework.session import KedroServiceSession
from kedro.framework.startup import bootstrap_project
from kedro.runner import ThreadRunner

bootstrap_project(Path.cwd())
session = KedroServiceSession.create(project_path=Path.cwd(), serving_mode=True)

def run(seed):
    runner = ThreadRunner() if seed % 2 else None
    session.run(run_id=f"run-{seed}", pipeline_names=["light"], runtime_params={"seed": seed}, runner=runner)

with ThreadPoolExecutor(4) as pool:
    list(pool.map(run, range(8)))
"""

IN_TURN = """
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
for action in ("work", "fail", "work"):
    with KedroSession.create(runtime_params={"action": action}) as session:
        try:
            session.run(pipeline_names=["light"])
        except RuntimeError:
            pass
with KedroSession.create() as session:
    catalog = session.load_context().catalog
    assert not [name for name in catalog if "ratoon" in name], list(catalog)
"""


def test_runs_at_once_do_not_mix(project: WineProject) -> None:
    execute(project, AT_ONCE)
    runs = {run.tags["kedro.run_id"]: run for run in project.runs()}
    assert sorted(runs) == [f"run-{seed}" for seed in range(8)]
    for seed in range(8):
        run = runs[f"run-{seed}"]
        assert run.status is RunStatus.FINISHED
        assert run.params["seed"] == str(seed)
        assert {key: each.value for key, each in run.metrics.items() if "/" not in key} == {
            "number": seed + 1,
            "scores.half": (seed + 1) / 2,
            "doubled": seed + 1,
        }
        graph = json.loads(project.read_artifact(run, "kedro/pipeline.json"))
        assert [node["status"] for node in graph["nodes"]] == ["finished"] * 3
        configuration = json.loads(project.read_artifact(run, "kedro/configuration.json"))
        assert configuration["parameters"]["seed"] == seed
        assert configuration["run_params"]["run_id"] == f"run-{seed}"


@pytest.mark.slow
def test_runs_at_once_keep_a_log_each(sturdy: SturdyProject) -> None:
    pipelines = sturdy.path / "src" / "wine" / "pipelines"
    shutil.rmtree(pipelines / "light")  # its nodes have the same names
    package = pipelines / "sturdy" / "__init__.py"
    package.write_text(package.read_text().replace('logger.warning("end")', 'logger.warning("end with %s", side)'))
    (sturdy.path / "conf" / "base" / "catalog_sturdy.yml").unlink()  # runs at once must not write the same files
    execute(sturdy, AT_ONCE.replace('"light"', '"sturdy"'))
    runs = {run.tags["kedro.run_id"]: run for run in sturdy.runs()}
    assert len(runs) == 8
    for seed in range(8):
        run = runs[f"run-{seed}"]
        said = [line.partition("Z ")[2] for line in sturdy.read_artifact(run, "kedro/run.log").decode().splitlines()]
        own = [line for line in said if "wine.pipelines.sturdy" in line]
        assert own == [
            f"WARNING wine.pipelines.sturdy: begin with seed {seed} for https://[redacted]@db/wines",
            f"WARNING wine.pipelines.sturdy: end with {{'four': {seed * 2.0}}}",
        ]
        for what, times in {"Running node: ": 4, "Completed node: ": 4, "Saving data to ": 5, "from first": 2}.items():
            assert sum(what in line for line in said) == times, what


def test_a_failure_leaves_the_next_run_alone_and_nothing_shows_in_the_catalog(project: WineProject) -> None:
    execute(project, IN_TURN)
    statuses = [run.status for run in reversed(project.runs())]
    assert statuses == [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.FINISHED]


def execute(project: WineProject, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.path, env=project.environment(), capture_output=True, text=True
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert project.complaints(output) == []
