"""The child process: what it says is heard at once, and it never outlives its task."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from ratoon_airflow import process
from ratoon_airflow.process import StreamedProcess

# Starts a child of its own and tells its id; both stay until they are stopped.
FAMILY = """
import signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


def streamed(code: str, **environment: str) -> StreamedProcess:
    command = [sys.executable, "-u", "-c", code]
    return StreamedProcess(command, folder=Path.cwd(), environment=dict(os.environ) | environment)


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def gone(pid: int) -> bool:
    until = time.monotonic() + 5
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


def test_every_line_is_told_as_it_comes(tmp_path):
    """The second line is an answer to the first."""
    heard: list[str] = []
    code = f"""
import pathlib, sys, time
print("one")
for _ in range(1000):
    if pathlib.Path({str(tmp_path / "one")!r}).exists():
        print("two \u00e4", file=sys.stderr)
        sys.exit(3)
    time.sleep(0.01)
"""
    outcome = streamed(code).run(lambda line: (heard.append(line), (tmp_path / line).touch()))
    assert heard == ["one", "two ä"]
    assert outcome == (3, ("one", "two ä"))


def test_bytes_that_are_no_text_are_shown():
    outcome = streamed("import os; os.write(1, b'\\xff\\n')").run(lambda line: None)
    assert outcome.tail == ("\\xff",)


def test_only_the_last_lines_are_kept():
    outcome = streamed("for i in range(100): print(i)").run(lambda line: None)
    assert outcome.tail == tuple(str(number) for number in range(100 - process.TAIL, 100))


def test_the_environment_is_the_one_that_was_given():
    heard: list[str] = []
    streamed("import os; print(os.environ['COLOUR'])", COLOUR="green").run(heard.append)
    assert heard == ["green"]


def test_stopping_it_stops_what_it_started():
    child: list[int] = []
    running = streamed(FAMILY)
    outcome = running.run(lambda line: (child.append(int(line)), threading.Timer(0.1, running.terminate).start()))
    assert outcome.exit_code == -signal.SIGTERM
    assert running.stopped
    assert gone(child[0])


def test_one_that_does_not_listen_is_killed(monkeypatch):
    monkeypatch.setattr(process, "GRACE", 0.3)
    child: list[int] = []
    running = streamed(DEAF + FAMILY)
    outcome = running.run(lambda line: (child.append(int(line)), running.terminate()))
    assert outcome.exit_code == -signal.SIGKILL
    assert gone(child[0])


def test_a_timeout_of_the_task_leaves_nothing_behind():
    child: list[int] = []

    class TaskTimeout(BaseException):
        pass

    def tell(line: str) -> None:
        child.append(int(line))
        raise TaskTimeout

    running = streamed(FAMILY)
    with pytest.raises(TaskTimeout):
        running.run(tell)
    assert gone(child[0])


def test_stopping_what_does_not_run_is_nothing():
    running = streamed("pass")
    running.terminate()
    assert running.run(lambda line: None).exit_code == 0
    running.terminate()
    assert not running.stopped
