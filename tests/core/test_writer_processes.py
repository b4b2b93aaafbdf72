from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ratoon.entities import Run
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.tracking import SqlTrackingStore
from ratoon.testing.values import run_of

RunPython = Callable[..., "subprocess.CompletedProcess[str]"]

# What every script begins with: a client of the test's database, and one run.
BEGIN = """
    import os, sys, multiprocessing, ratoon
    client = ratoon.Client(tracking_uri=sys.argv[1])
    run = client.start_run(run_name="child", run_id=sys.argv[2])
"""


@pytest.fixture
def store(database: Database) -> SqlTrackingStore:
    return SqlTrackingStore(database)


@pytest.fixture
def run(store: SqlTrackingStore) -> Run:
    return store.create_run(run_of(store.create_experiment("wine").experiment_id))


def test_values_put_just_before_the_interpreter_ends_arrive(
    run_python: RunPython, uri: str, store: SqlTrackingStore, run: Run
) -> None:
    script = BEGIN + "\n    for step in range(500): run.log_metric('m', 1.0, step)\n"
    run_python(script, uri, run.run_id)
    run_python(script + "    raise SystemExit(3)\n", uri, run.run_id, returncode=3)
    assert len({point.step for point in store.metric_history(run.run_id, "m")}) == 500


def test_values_that_never_arrived_are_told_at_the_end(run_python: RunPython, uri: str, run: Run) -> None:
    script = (
        BEGIN + "\n    run.log_param('p', '1'); client.writer.drain()\n    client.attach(run.run_id)._params.clear()"
    )
    other = "\n    late = client.attach(run.run_id); late._params.clear(); late.log_param('p', '2')\n"
    done = run_python(script + other, uri, run.run_id)
    assert "the last values could not be written: param 'p' of run" in done.stderr


def test_a_client_that_logged_nothing_leaves_quietly(run_python: RunPython, uri: str, run: Run) -> None:
    done = run_python(BEGIN + "\n    client.writer\n", uri, run.run_id)
    assert done.stderr == ""


def test_a_child_of_a_fork_writes_its_values_and_not_its_parents(
    run_python: RunPython, uri: str, store: SqlTrackingStore, run: Run
) -> None:
    script = """
    for step in range(3000): run.log_metric('parent', 1.0, step)
    child = os.fork()
    if child == 0:
        assert not client.writer._queue
        for step in range(300): run.log_metric('child', 1.0, step)
        run.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    run.flush()
    """
    run_python(BEGIN + script, uri, run.run_id)
    for key, count in (("parent", 3000), ("child", 300)):
        assert [metric.step for metric in store.metric_history(run.run_id, key)] == list(range(count))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_process_that_never_flushes_loses_nothing(
    run_python: RunPython, uri: str, store: SqlTrackingStore, run: Run, tmp_path: Path, method: str
) -> None:
    (tmp_path / "work.py").write_text(
        "import sys, ratoon\n"
        "def work(uri, run_id, key):\n"
        "    run = ratoon.Client(tracking_uri=uri).attach(run_id)\n"
        "    for step in range(300): run.log_metric(key, 1.0, step)\n"
        "if __name__ == '__main__':\n"
        "    import multiprocessing\n"
        "    context = multiprocessing.get_context(sys.argv[3])\n"
        "    processes = [context.Process(target=work, args=(*sys.argv[1:3], key)) for key in ('a', 'b')]\n"
        "    for process in processes: process.start()\n"
        "    for process in processes: process.join()\n"
        "    assert [process.exitcode for process in processes] == [0, 0]\n"
    )
    command = [sys.executable, "-W", "error", "work.py", uri, run.run_id, method]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for key in ("a", "b"):
        assert len(store.metric_history(run.run_id, key)) == 300


def test_kill_after_a_flush_loses_nothing(run_python: RunPython, uri: str, store: SqlTrackingStore, run: Run) -> None:
    script = """
    for step in range(500): run.log_metric('m', 1.0, step)
    run.log_text('kept', 'notes.txt')
    run.flush()
    os.kill(os.getpid(), 9)
    """
    run_python(BEGIN + script, uri, run.run_id, returncode=-signal.SIGKILL)
    assert len(store.metric_history(run.run_id, "m")) == 500
    assert b"kept" in [path.read_bytes() for path in Path(os.path.dirname(uri[10:])).rglob("blobs/*/*/*")]
