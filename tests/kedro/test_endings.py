"""How a run ends that does not end well, and what tracking may never do to a pipeline."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from ratoon.entities import RunStatus

if TYPE_CHECKING:
    from conftest import WineProject

LIGHT = ("run", "--pipelines", "light")


def acting(action: str) -> tuple[str, ...]:
    return (*LIGHT, "--params", f"action={action}")


def test_a_failing_node_fails_the_run_and_nothing_else_changes(project: WineProject) -> None:
    untracked = project.kedro(*acting("fail"), env={"RATOON_KEDRO": "0"})
    assert not (project.path / ".ratoon").exists()
    done = project.kedro(*acting("fail"))
    assert done.returncode == untracked.returncode == 1
    run = project.only_run()
    assert run.status is RunStatus.FAILED
    assert run.end_time is not None
    assert run.tags["kedro.failed_node"] == "act"
    assert run.tags["kedro.error"] == "RuntimeError: cannot reach https://[redacted]@db/wines"
    assert run.params == {"seed": "4", "action": "fail"}
    assert run.metrics["number"].value == 5
    graph = json.loads(project.read_artifact(run, "kedro/pipeline.json"))
    statuses = {node["name"]: node["status"] for node in graph["nodes"]}
    assert statuses == {"begin": "finished", "act": "failed", "end": "not_reached"}


def test_a_node_that_fails_in_a_worker_process_is_named(project: WineProject) -> None:
    done = project.kedro(*acting("fail"), "--runner", "ParallelRunner", env={"KEDRO_MP_CONTEXT": "spawn"})
    assert done.returncode == 1
    run = project.only_run()
    assert run.status is RunStatus.FAILED
    assert run.tags["kedro.failed_node"] == "act"
    assert set(run.metrics) == {"number", "kedro/seconds/begin", "kedro/seconds/act"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 1)])
def test_a_run_that_is_stopped_is_killed(project: WineProject, number: signal.Signals, code: int) -> None:
    process = project.start(*acting("wait"))
    wait_for(project)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == code, output
    run = project.only_run()
    assert run.status is RunStatus.KILLED
    assert run.end_time is not None
    assert f"run {run.run_id} is KILLED" in output
    graph = json.loads(project.read_artifact(run, "kedro/pipeline.json"))
    assert [node["status"] for node in graph["nodes"]] == ["finished", "not_reached", "not_reached"]


def test_the_projects_own_handler_of_sigterm_is_still_called(project: WineProject) -> None:
    code = """
import signal, sys
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
bootstrap_project(Path.cwd())
with KedroSession.create(runtime_params={"action": "wait"}) as session:
    session.run(pipeline_names=["light"])
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=project.path, env=project.environment())
    wait_for(project)
    process.terminate()
    assert process.wait(timeout=30) == 7
    assert project.only_run().status is RunStatus.KILLED


def test_a_node_that_leaves_the_process_kills_the_run(project: WineProject) -> None:
    done = project.kedro(*acting("leave"))
    assert done.returncode == 3
    assert project.only_run().status is RunStatus.KILLED


def test_a_store_that_cannot_be_written_costs_one_warning(project: WineProject) -> None:
    # A file where the folder must be; removed rights would not stop the superuser.
    project.write(".ratoon", "in the way")
    done = project.kedro(*LIGHT)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "Pipeline execution completed successfully" in output
    (complaint,) = project.complaints(output)
    assert "ratoon could not begin to track this run (StoreError: " in complaint


def test_a_broken_installation_breaks_no_run(project: WineProject) -> None:
    broken = project.path / "broken" / "ratoon"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('a file is missing')\n")
    done = project.kedro(*LIGHT, env={"PYTHONPATH": str(broken.parent)})
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "ratoon could not begin to track this run (ImportError: a file is missing); the pipeline goes on" in output


def test_a_strict_project_wants_to_know(project: WineProject) -> None:
    project.write(".ratoon", "in the way")
    project.write("conf/base/ratoon.yml", "strict: true\n")
    done = project.kedro(*LIGHT)
    assert done.returncode == 1
    assert "Pipeline execution completed" not in done.stdout


def test_what_a_strict_project_refuses_at_the_end_fails_the_run(project: WineProject) -> None:
    project.write("conf/base/ratoon.yml", "strict: true\nregister:\n  number: wine\n")
    done = project.kedro(*LIGHT)
    assert done.returncode == 1
    assert "it holds no model" in done.stdout + done.stderr
    assert project.only_run().status is RunStatus.FAILED


@pytest.mark.parametrize("strict", [False, True])
def test_a_configuration_with_a_mistake_turns_tracking_off(project: WineProject, strict: bool) -> None:
    project.write("conf/base/ratoon.yml", f"strict: {str(strict).lower()}\nexperimant: x\n")
    done = project.kedro(*LIGHT)
    output = done.stdout + done.stderr
    assert done.returncode == int(strict)
    assert (
        f"setting 'experimant' in {project.path}/conf/base/ratoon.yml is unknown; did you mean 'experiment'?" in output
    )
    assert not (project.path / ".ratoon").exists()


def test_kedros_own_switch_turns_it_off(project: WineProject) -> None:
    settings = project.path / "src" / "wine" / "settings.py"
    settings.write_text(settings.read_text() + '\nDISABLE_HOOKS_FOR_PLUGINS = ("ratoon",)\n')
    assert project.kedro(*LIGHT).returncode == 0
    assert not (project.path / ".ratoon").exists()


def wait_for(project: WineProject) -> None:
    deadline = time.monotonic() + 60
    while not (project.path / "waiting").exists():
        assert time.monotonic() < deadline, "the node did not begin"
        time.sleep(0.05)
