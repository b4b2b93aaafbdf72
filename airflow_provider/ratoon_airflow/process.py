"""A child process in its own process group, whose output is passed on line by line."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

GRACE = 4.0
"""Seconds between SIGTERM and SIGKILL: less than the five after which Airflow kills the task itself."""

TAIL = 20
"""How many of the last lines are kept for the message of a failure."""


class Outcome(NamedTuple):
    """How a process ended; a negative exit code is the number of the signal that ended it."""

    exit_code: int
    tail: tuple[str, ...]


class StreamedProcess:
    """One command, started without a shell.

    It gets a process group of its own, so that stopping it stops what it has started, too, and not the task.
    """

    def __init__(self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        self.command = tuple(command)
        self._folder = folder
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._last_resort: threading.Timer | None = None

    def run(self, tell: Callable[[str], object]) -> Outcome:
        """Start the command and wait for its end.

        Args:
            tell: Is called with each line of its output, standard error included, as soon as it is written.

        Raises:
            OSError: The command or its folder is not there.
        """
        tail: deque[str] = deque(maxlen=TAIL)
        process = self._process = self._start()
        assert process.stdout is not None
        try:
            for raw in process.stdout:
                line = raw.decode(errors="backslashreplace").rstrip()
                tail.append(line)
                tell(line)
            exit_code = process.wait()
        except BaseException:  # a timeout of the task, above all: nobody would ever stop the process
            self._stop_now(process)
            raise
        finally:
            process.stdout.close()
            if self._last_resort is not None:
                self._last_resort.cancel()
        if self.stopped:  # what it started may be deaf, too
            _signal_group(process.pid, signal.SIGKILL)
        return Outcome(exit_code, tuple(tail))

    def terminate(self) -> None:
        """Ask the whole group to end, and kill it if it does not within the time of grace; returns at once.

        Safe to call from a signal handler that interrupted :meth:`run`, and when nothing runs.
        """
        process = self._process
        if process is None or process.returncode is not None or self.stopped:
            return
        _signal_group(process.pid, signal.SIGTERM)
        self._last_resort = threading.Timer(GRACE, _signal_group, (process.pid, signal.SIGKILL))
        self._last_resort.daemon = True
        self._last_resort.start()

    @property
    def stopped(self) -> bool:
        """Whether :meth:`terminate` was what ended it."""
        return self._last_resort is not None

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _stop_now(self, process: subprocess.Popen[bytes]) -> None:
        _signal_group(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
