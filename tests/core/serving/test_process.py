from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ratoon.serving.targets import process
from ratoon.serving.targets.process import ProcessId

SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "log"


def start(code: str, log: Path) -> ProcessId:
    with open(log, "ab") as file:
        return process.start([sys.executable, "-c", code], os.environ, file.fileno())


def wait_for(text: str, log: Path) -> None:
    deadline = time.monotonic() + 10
    while text not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_is_started_apart_from_this_one_and_stopped(log: Path) -> None:
    started = start(SLEEP, log)
    assert process.alive(started)
    assert os.getsid(started.pid) == started.pid != os.getsid(0)
    process.stop(started)
    assert not process.alive(started)
    process.stop(started)


def test_the_end_of_a_process_is_noticed(log: Path) -> None:
    started = start("print('hello')", log)
    deadline = time.monotonic() + 10
    while process.alive(started):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert log.read_text() == "hello\n"


def test_a_process_that_ignores_sigterm_is_killed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    started = start(DEAF, log)
    wait_for("deaf", log)
    process.stop(started)
    assert not process.alive(started)


@pytest.mark.skipif(sys.platform != "linux", reason="start times are read from /proc")
def test_another_process_with_the_number_of_an_ended_one_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as other:
        recorded = ProcessId(other.pid, "of-another-boot:1")
        assert not process.alive(recorded)
        process.stop(recorded)
        assert other.poll() is None
        other.send_signal(signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="states are read from /proc")
def test_an_ended_child_that_its_parent_has_not_reaped_is_not_alive(log: Path) -> None:
    code = (
        "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', '']); print(c.pid, flush=True)\n" + SLEEP
    )
    parent = start(code, log)
    wait_for("\n", log)
    child = int(log.read_text())
    deadline = time.monotonic() + 10
    while process.alive(ProcessId(child, "any")) or "Z" not in Path(f"/proc/{child}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.stop(parent)


def test_an_identity_survives_being_written() -> None:
    identity = ProcessId(7, "boot:1")
    assert msgspec.json.decode(msgspec.json.encode(identity), type=ProcessId) == identity
