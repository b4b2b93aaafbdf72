"""What survives when processes die: everything that was flushed, once."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ratoon.entities import RunStatus
from ratoon.tracking.client import Client

PROCESSES = 8
POINTS = 5000
WRITERS = 32

# Logs its points, and notes after each flush how many are safe.
LOGGER = f"""
import os, sys
from pathlib import Path
from ratoon.tracking.client import Client

uri, run_id, note = sys.argv[1], sys.argv[2], Path(sys.argv[3])
draft = note.with_suffix(".draft")
client = Client(tracking_uri=uri)
with client.start_run(run_id=run_id, experiment="crash") as run:
    for step in range({POINTS}):
        run.log_metric("loss", 1.0 / (step + 1), step)
        if step % 250 == 249:
            run.flush()
            draft.write_text(str(step + 1))
            os.replace(draft, note)  # a kill between the opening and the writing would leave an empty note
            if len(sys.argv) > 4:
                import time; time.sleep(float(sys.argv[4]))
"""

# Thirty-two processes of one parent, each with runs of its own.
WRITING = f"""
import os, sys, traceback
from ratoon.tracking.client import Client

def work(number):
    client = Client(tracking_uri=sys.argv[1])
    for _ in range(3):
        with client.start_run(experiment="many", run_name=f"writer-{{number}}") as run:
            run.log_params({{"number": number}})
            for step in range(50):
                run.log_metric("loss", step, step)

children = []
for number in range({WRITERS}):
    child = os.fork()
    if child == 0:
        try:
            work(number)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def start_logger(uri: str, number: int, folder: Path, pause: str = "0") -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", LOGGER, uri, f"{number:032x}", str(folder / f"{number}.note"), pause]
    return subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE)


def safe(folder: Path, number: int) -> int:
    note = folder / f"{number}.note"
    return int(note.read_text()) if note.exists() else 0


def start_server(folder: Path, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ratoon", "--tracking-uri", f"sqlite:///{folder}/server/ratoon.db", "server"]
    server = subprocess.Popen([*command, "--port", str(port)], cwd=folder, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    assert "ratoon server on" in server.stderr.readline()
    return server


@pytest.fixture
def port() -> Iterator[int]:
    yield free_port()


@pytest.mark.slow
def test_killed_clients_lose_nothing_that_they_flushed(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/ratoon.db"
    Client(tracking_uri=uri).tracking.search_runs()
    loggers = [start_logger(uri, number, tmp_path, "0.05") for number in range(PROCESSES)]
    while min(safe(tmp_path, number) for number in range(PROCESSES)) < 500:
        time.sleep(0.05)
    for logger in loggers:
        logger.kill()
        logger.communicate()

    with closing(sqlite3.connect(tmp_path / "ratoon.db")) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store = Client(tracking_uri=uri).tracking
    for number in range(PROCESSES):
        steps = list(store.metric_history(f"{number:032x}", "loss").steps)
        assert steps == list(range(len(steps)))
        assert len(steps) >= safe(tmp_path, number) >= 500


@pytest.mark.slow
def test_a_killed_server_loses_nothing_and_stops_no_training(tmp_path: Path, port: int) -> None:
    server = start_server(tmp_path, port)
    uri = f"http://127.0.0.1:{port}"
    try:
        loggers = [start_logger(uri, number, tmp_path, "0.1") for number in range(PROCESSES)]
        while min(safe(tmp_path, number) for number in range(PROCESSES)) < 500:
            time.sleep(0.05)
        server.kill()
        server.communicate()
        time.sleep(2)
        server = start_server(tmp_path, port)
        for logger in loggers:
            _, errors = logger.communicate(timeout=120)
            assert logger.returncode == 0, errors.decode()
        subprocess.run(
            [sys.executable, "-m", "ratoon", "--tracking-uri", uri, "sync"], cwd=tmp_path, check=True, timeout=60
        )
        store = Client(tracking_uri=f"sqlite:///{tmp_path}/server/ratoon.db").tracking
        for number in range(PROCESSES):
            run_id = f"{number:032x}"
            assert list(store.metric_history(run_id, "loss").steps) == list(range(POINTS))
            assert store.get_run(run_id).status is RunStatus.FINISHED
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize("served", [False, True], ids=["one SQLite file", "one server"])
def test_many_writers_at_once_meet_no_error(tmp_path: Path, port: int, served: bool) -> None:
    file = f"sqlite:///{tmp_path}/server/ratoon.db"
    server = start_server(tmp_path, port) if served else None
    try:
        uri = f"http://127.0.0.1:{port}" if served else file
        environ = {key: value for key, value in os.environ.items() if not key.startswith("RATOON_")}
        done = subprocess.run(
            [sys.executable, "-c", WRITING, uri], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=240
        )
        assert (done.returncode, done.stderr) == (0, "")
    finally:
        if server is not None:
            server.terminate()
            server.communicate(timeout=30)
    runs = Client(tracking_uri=file).tracking.search_runs().items
    assert sorted(run.run_name for run in runs) == sorted(
        f"writer-{number}" for number in range(WRITERS) for _ in range(3)
    )
    assert all(run.metrics["loss"].step == 49 and run.status is RunStatus.FINISHED for run in runs)
