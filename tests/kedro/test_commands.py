"""``kedro ratoon …``: the core's commands for the project's store, from every folder of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from ratoon.entities import Run

if TYPE_CHECKING:
    from conftest import WineProject

pytestmark = pytest.mark.slow

COMMANDS = {"compare", "init", "model", "replay", "runs", "sweep", "ui"}


@pytest.fixture(scope="module")
def project(template: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    """A project with two runs; its store is where its configuration of one environment says."""
    project = fresh(template)
    project.write("conf/base/ratoon.yml", "tracking_uri: sqlite:///cellar.db\n")
    (project.path / "conf" / "elsewhere").mkdir()
    project.write("conf/elsewhere/ratoon.yml", "tracking_uri: sqlite:///elsewhere.db\n")
    for depth in (1, 4):
        done = project.kedro("run", "--pipelines", "training", "--params", f"model.max_depth={depth}")
        assert done.returncode == 0, done.stdout + done.stderr
    return project


def runs_of(project: WineProject) -> list[Run]:
    return list(project.client(tracking_uri="sqlite:///cellar.db").tracking.search_runs().items)


def in_subfolder(project: WineProject) -> WineProject:
    return type(project)(project.path / "src" / "wine")


def after(text: str, start: str) -> str:
    """What is printed from a character on: before it Kedro tells how it logs."""
    return text[text.index(start) :]


def test_the_commands_are_listed(project: WineProject) -> None:
    done = project.kedro("ratoon", "--help")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"^  ([a-z]+) ", done.stdout, re.MULTILINE)) == COMMANDS


def test_listing_the_commands_imports_none_of_them() -> None:
    code = "import sys, ratoon_kedro.cli\nprint(*sorted(n for n in sys.modules if n.startswith('ratoon')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["ratoon_kedro", "ratoon_kedro.cli"]


def test_runs_are_those_of_the_project_from_every_folder(project: WineProject) -> None:
    known = {run.run_id for run in runs_of(project)}
    for place in (project, in_subfolder(project)):
        done = place.kedro("ratoon", "runs", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert {run["run_id"] for run in json.loads(after(done.stdout, "[\n"))} == known
    shown = in_subfolder(project).kedro("ratoon", "runs", "show", "latest")
    assert f"run {runs_of(project)[0].run_id}" in shown.stdout


def test_an_environment_has_its_own_store(project: WineProject) -> None:
    for words in (("ratoon", "runs", "-e", "elsewhere"), ("ratoon", "runs", "--env=elsewhere")):
        done = project.kedro(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "no runs yet" in done.stdout
    assert "no runs yet" in project.kedro("ratoon", "runs", env={"KEDRO_ENV": "elsewhere"}).stdout


def test_runs_are_compared(project: WineProject) -> None:
    ids = [run.run_id[:8] for run in runs_of(project)]
    done = in_subfolder(project).kedro("ratoon", "compare", *ids)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "model.max_depth" in line)
    assert line.split() == ["model.max_depth", "4", "1"]


def test_models_are_inspected(project: WineProject) -> None:
    done = project.kedro("ratoon", "model", "inspect", f"runs:/{runs_of(project)[0].run_id}/classifier")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every file is what was saved" in done.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("runs", "show", "nothing"), "run 'nothing' is none of the latest"),
        (("compare", "nothing"), "run 'nothing' is none of the latest"),
        (("model", "show", "nothing"), "nothing"),
        (("replay", "nothing"), "run 'nothing' is none of the latest"),
        (("runs", "--env", "typo"), "environment 'typo' has no folder"),
        (("ui", "--host", "0.0.0.0"), "host '0.0.0.0' is refused"),
    ],
)
def test_bad_input_is_one_line(project: WineProject, words: tuple[str, ...], complaint: str) -> None:
    done = project.kedro("ratoon", *words)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stdout


def test_a_bad_setting_is_one_line(template: Path, fresh: Callable[[Path], WineProject]) -> None:
    project = fresh(template)
    project.write("conf/base/ratoon.yml", "tracking_url: x\n")
    done = project.kedro("ratoon", "runs")
    assert done.returncode == 2
    assert "did you mean 'tracking_uri'?" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_says_where_it_is_and_leaves_when_it_is_told(project: WineProject, number: int) -> None:
    server = project.start("ratoon", "ui", "--port", "0", new_group=True)
    try:
        assert server.stdout is not None
        line = next(line for line in server.stdout if "ratoon server on" in line)
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found
        assert "cellar.db" in line
        with urlopen(f"{found[0]}/health", timeout=10) as answer:
            assert answer.status == 200
        if number == signal.SIGINT:
            os.killpg(server.pid, number)  # as a terminal does: to every process in front
        else:
            server.send_signal(number)
        rest, _ = server.communicate(timeout=30)
        assert "Traceback" not in rest
        assert server.returncode == 0
    finally:
        server.kill()
