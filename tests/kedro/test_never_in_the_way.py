"""Whatever happens to tracking, and however a run ends: exit code and files are those that it has without ratoon."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ratoon.entities import Run, RunStatus
from ratoon.tracking.locations import artifact_key

if TYPE_CHECKING:
    from conftest import SturdyProject

pytestmark = pytest.mark.slow

RUNNERS = [
    ("SequentialRunner", None),
    ("ThreadRunner", None),
    ("ParallelRunner", "fork"),
    ("ParallelRunner", "spawn"),
    ("ParallelRunner", "forkserver"),
]


def context(method: str | None) -> dict[str, str]:
    return {"KEDRO_MP_CONTEXT": method} if method else {}


def node_status(project: SturdyProject, run: Run) -> dict[str, str]:
    graph = json.loads(project.read_artifact(run, "kedro/pipeline.json"))
    return {node["name"]: node["status"] for node in graph["nodes"]}


# How a node fails


@pytest.mark.parametrize(("runner", "method"), RUNNERS)
@pytest.mark.parametrize(("action", "error"), [("fail", "the node cannot go on"), ("unsaved", "not JSON serializable")])
def test_a_failing_node_is_named_and_nothing_else_changes(
    sturdy: SturdyProject, runner: str, method: str | None, action: str, error: str
) -> None:
    arguments = sturdy.acting(action, runner)
    untracked = sturdy.outcome(*arguments, env={**sturdy.OFF, **context(method)})
    tracked = sturdy.outcome(*arguments, env=context(method))
    assert tracked.code == untracked.code == 1
    assert_same_but_for_what_runs_beside(tracked.files, untracked.files)
    run = sturdy.only_run()
    assert run.status is RunStatus.FAILED
    assert run.tags["kedro.failed_node"] == "act"
    assert error in run.tags["kedro.error"]
    status = node_status(sturdy, run)
    assert (status["begin"], status["act"], status["end"]) == ("finished", "failed", "not_reached")
    traceback = sturdy.read_artifact(run, "kedro/traceback.txt").decode()
    assert error in traceback
    if action == "fail":
        assert "in act\n" in traceback, "the worker's own traceback is there"
    assert error in sturdy.read_artifact(run, "kedro/run.log").decode() or action == "unsaved"


def test_a_dataset_that_cannot_be_loaded_fails_its_node(sturdy: SturdyProject) -> None:
    for runner in ("SequentialRunner", "ThreadRunner", "ParallelRunner"):
        sturdy.clear()
        done = sturdy.kedro(*sturdy.RUN, "--from-nodes", "end,beside", "--runner", runner)
        assert done.returncode == 1
        assert sturdy.runs()[0].tags["kedro.failed_node"] in ("beside", "end")
    (sturdy.path / "data" / "02_sturdy").mkdir(exist_ok=True)
    sturdy.write("data/02_sturdy/first.json", '{"one": 2, "two": 2}')
    for runner in ("SequentialRunner", "ThreadRunner", "ParallelRunner"):
        done = sturdy.kedro(*sturdy.RUN, "--from-nodes", "end,beside", "--runner", runner)
        assert done.returncode == 1
        run = sturdy.runs()[0]
        assert run.tags["kedro.failed_node"] == "end"
        assert node_status(sturdy, run) == {"beside": "finished", "end": "failed"}


def assert_same_but_for_what_runs_beside(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    """Whether the node beside a failing one still came to its end is left to chance, with ratoon and without."""
    first, second = ({name: text for name, text in files.items() if name != "side.json"} for files in (one, other))
    assert first == second


# How a run is stopped


@pytest.mark.parametrize(("runner", "method"), RUNNERS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_is_killed_and_leaves_as_it_would(
    sturdy: SturdyProject, runner: str, method: str | None, number: signal.Signals
) -> None:
    arguments = sturdy.acting("wait", runner)
    untracked = stopped(sturdy, arguments, number, {**sturdy.OFF, **context(method)})
    tracked = stopped(sturdy, arguments, number, context(method))
    assert tracked == untracked
    run = sturdy.only_run()
    assert run.status is RunStatus.KILLED
    assert run.end_time is not None
    assert "Running node: begin" in sturdy.read_artifact(run, "kedro/run.log").decode()
    assert node_status(sturdy, run)["end"] == "not_reached"


def stopped(
    project: SturdyProject, arguments: tuple[str, ...], number: signal.Signals, env: dict[str, str]
) -> tuple[int, dict[str, bytes]]:
    """Stop a run in its second node: Ctrl-C reaches all its processes, SIGTERM the first."""
    project.clear()
    process = project.start(*arguments, env=env, new_group=True)
    try:
        project.until(project.waiting, "the node did not begin")
        project.until(lambda: {"first.json", "received.json"} <= set(project.files()), "the first node's files")
        (os.killpg if number is signal.SIGINT else os.kill)(process.pid, number)
        if "ThreadRunner" in arguments:  # Python waits for its threads
            project.write("go-on", "")
        process.wait(60)  # its workers may outlive it
    finally:
        end_group(process.pid)
        process.communicate()
    return process.returncode, {name: project.files()[name] for name in ("first.json", "received.json")}


def end_group(group: int) -> None:
    """End what a killed run has left of its processes."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


# A store that does not work


class Server:
    """A real server that can be killed and started again at the same address."""

    def __init__(self, project: SturdyProject) -> None:
        self._project = project
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        store = ["--tracking-uri", f"sqlite:///{self._project.path.parent}/server.db"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ratoon", *store, "server", "--port", str(self._port)],
            env=self._project.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._project.until(self._answers, "the server does not answer")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False


@pytest.fixture
def server(sturdy: SturdyProject) -> Iterator[Server]:
    """A server that is not started yet, and that the project names."""
    made = Server(sturdy)
    sturdy.write("conf/base/ratoon.yml", f"tracking_uri: {made.uri}\n")
    try:
        yield made
    finally:
        made.kill()


def sync(project: SturdyProject, server: Server) -> None:
    command = [sys.executable, "-m", "ratoon", "--tracking-uri", server.uri, "sync"]
    done = subprocess.run(command, cwd=project.path, env=project.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def recorded(project: SturdyProject, server: Server, position: int = 0) -> dict[str, Any]:
    """What the server knows of one of its runs, the newest first, but for times."""
    client = project.client(tracking_uri=server.uri)
    listed = client.tracking.search_runs().items[position]
    run = client.tracking.get_run(listed.run_id)
    root = artifact_key(run.artifact_uri)
    return {
        "status": run.status,
        "params": dict(run.params),
        "metrics": {key: None if "seconds" in key else metric.value for key, metric in run.metrics.items()},
        "datasets": {(each.dataset.name, each.tags["mlflow.data.context"]) for each in run.inputs},
        "files": {entry.path.rpartition("/")[2] for entry in client.artifacts.list(f"{root}/kedro")},
        "log": b"Pipeline execution completed" in b"".join(client.artifacts.read(f"{root}/kedro/run.log")),
    }


def test_a_server_that_was_never_there_costs_one_warning(sturdy: SturdyProject, server: Server) -> None:
    untracked = sturdy.outcome(*sturdy.RUN, env=sturdy.OFF)
    sturdy.clear()
    done = sturdy.kedro(*sturdy.RUN)
    assert (done.returncode, sturdy.files()) == untracked
    (complaint,) = sturdy.complaints(done.stdout + done.stderr)
    assert f"server '{server.uri}' is not available" in complaint


@pytest.mark.parametrize(("runner", "method"), RUNNERS)
def test_what_a_run_records_without_its_server_is_there_when_it_is_back(
    sturdy: SturdyProject, server: Server, runner: str, method: str | None
) -> None:
    server.start()
    arguments, env = (*sturdy.RUN, "--runner", runner), context(method)
    with_server = sturdy.outcome(*arguments, env=env)
    assert with_server.code == 0
    server.kill()
    sturdy.clear()
    done = sturdy.kedro(*arguments, env=env)
    assert (done.returncode, sturdy.files()) == with_server, done.stdout + done.stderr
    assert sturdy.complaints(done.stdout + done.stderr) == []
    server.start()
    sync(sturdy, server)
    assert recorded(sturdy, server) == recorded(sturdy, server, 1)
    assert recorded(sturdy, server)["status"] is RunStatus.FINISHED
    assert recorded(sturdy, server)["log"]


@pytest.mark.parametrize("back", ["before the run ends", "before the next run", "for a sync"])
@pytest.mark.parametrize("runner", ["SequentialRunner", "ParallelRunner"])
def test_a_server_that_goes_away_during_a_run_loses_nothing(
    sturdy: SturdyProject, server: Server, runner: str, back: str
) -> None:
    server.start()
    sturdy.write("go-on", "")
    arguments = sturdy.acting("wait", runner)
    assert sturdy.kedro(*arguments).returncode == 0
    complete, left = recorded(sturdy, server), sturdy.files()
    sturdy.clear()
    process = sturdy.start(*arguments)
    sturdy.until(sturdy.waiting, "the node did not begin")
    server.kill()
    if back == "before the run ends":
        server.start()
    sturdy.write("go-on", "")
    output, _ = process.communicate(timeout=120)
    assert (process.returncode, sturdy.files()) == (0, left), output
    assert sturdy.complaints(output) == []
    if back != "before the run ends":
        server.start()
    if back == "before the next run":
        assert sturdy.kedro(*arguments).returncode == 0
        assert recorded(sturdy, server, 1) == complete, "the next run brings what waits"
    if back != "before the run ends":
        sync(sturdy, server)
    assert recorded(sturdy, server) == complete


@contextmanager
def nearly_full(folder: Path, size: str) -> Iterator[None]:
    """Put a file system of this size where the folder is."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "ratoon-test", folder], capture_output=True)
    if done.returncode != 0:
        message = f"a small file system cannot be mounted here: {done.stderr.decode()}"
        if os.environ.get("RATOON_REQUIRE_SERVICES"):
            pytest.fail(message)
        pytest.skip(message)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("size", ["16k", "300k", "600k", "800k", "1m"])
@pytest.mark.parametrize("runner", ["SequentialRunner", "ParallelRunner"])
def test_a_full_disk_costs_one_warning(sturdy: SturdyProject, runner: str, size: str) -> None:
    arguments = (*sturdy.RUN, "--runner", runner)
    untracked = sturdy.outcome(*arguments, env=sturdy.OFF)
    sturdy.clear()
    with nearly_full(sturdy.path / ".ratoon", size):
        done = sturdy.kedro(*arguments)
    output = done.stdout + done.stderr
    assert (done.returncode, sturdy.files()) == untracked, output
    assert len(sturdy.complaints(output)) <= 1, output


@pytest.mark.parametrize("runner", ["SequentialRunner", "ParallelRunner"])
def test_no_place_for_the_log_costs_the_log(sturdy: SturdyProject, runner: str) -> None:
    arguments = (*sturdy.RUN, "--runner", runner, "--params", "chatter=chatter")
    folder = sturdy.path / "full"
    with nearly_full(folder, "4k"):
        env = {"TMPDIR": str(folder)}
        untracked = sturdy.outcome(*arguments, env={**sturdy.OFF, **env})
        sturdy.clear()
        done = sturdy.kedro(*arguments, env=env)
    output = done.stdout + done.stderr
    assert (done.returncode, sturdy.files()) == untracked == (0, untracked.files), output
    complaints = sturdy.complaints(output)
    assert any("ratoon could not keep the run's whole log" in complaint for complaint in complaints)
    # A worker has no other place to tell the first process about its node.
    assert len(complaints) <= 1 + (runner == "ParallelRunner"), output
    assert sturdy.only_run().status is RunStatus.FINISHED


# A plugin that does not work

SHADY = """
from ratoon.hookspecs import hookimpl

def fail(*_):
    raise RuntimeError("the plugin is broken")

@hookimpl
def describe_output(name, value):
    fail()

@hookimpl
def run_started(run):
    fail()

@hookimpl
def run_finished(run):
    fail()

@hookimpl
def artifact_logged(run_id, path):
    fail()
"""


@pytest.mark.parametrize(("runner", "method"), RUNNERS)
def test_a_plugin_that_raises_costs_one_warning(sturdy: SturdyProject, runner: str, method: str | None) -> None:
    folder = sturdy.path / "plugins"
    (folder / "shady-1.0.dist-info").mkdir(parents=True)
    sturdy.write("plugins/shady.py", SHADY)
    sturdy.write("plugins/shady-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: shady\nVersion: 1.0\n")
    sturdy.write("plugins/shady-1.0.dist-info/entry_points.txt", "[ratoon]\nshady = shady\n")
    env = {"PYTHONPATH": str(folder), **context(method)}
    arguments = (*sturdy.RUN, "--runner", runner)
    untracked = sturdy.outcome(*arguments, env={**sturdy.OFF, **env})
    sturdy.clear()
    done = sturdy.kedro(*arguments, env=env)
    output = done.stdout + done.stderr
    assert (done.returncode, sturdy.files()) == untracked, output
    (complaint,) = sturdy.complaints(output)
    assert "the plugin is broken" in complaint
    run = sturdy.only_run()
    assert run.status is RunStatus.FINISHED
    assert run.params["action"] == "work"
