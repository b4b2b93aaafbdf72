"""Processes that outlive the one that started them: start, recognise, stop.

A number of a process says little: when it has ended, another gets it. So a process is known by its number and the time
at which it started, and is signalled only while both agree.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from ratoon.errors import DeploymentFailed

STOP_SECONDS = 10.0
KILL_SECONDS = 5.0
POLL_SECONDS = 0.05

# Children of this very process, kept so that their end is noticed: an unreaped child looks alive for ever.
_children: dict[int, subprocess.Popen[bytes]] = {}


class ProcessId(Struct, frozen=True):
    """A process, told apart from later ones of the same number.

    ``started`` names the boot of the machine and the tick of it; None where the system does not tell.
    """

    pid: int
    started: str | None


def start(command: Sequence[str], environment: Mapping[str, str], log: int) -> ProcessId:
    """Start a process in a session of its own, deaf to this terminal, its output in the open file ``log``."""
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(environment), start_new_session=True
    )
    _children[child.pid] = child
    return ProcessId(child.pid, _started(child.pid))


def alive(process: ProcessId) -> bool:
    """Whether the process still runs, and is the one that was started."""
    child = _children.get(process.pid)
    if child is not None and child.poll() is not None:
        _children.pop(process.pid, None)
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, under another user; its start time tells whether it is ours
    return _started(process.pid) == process.started


def stop(process: ProcessId) -> None:
    """End the process: politely first, after some seconds by force and with everything that it started.

    Raises:
        DeploymentFailed: It cannot be signalled, or outlives even that.
    """
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        if not alive(process):
            return
        _signal(process, number)
        deadline = time.monotonic() + seconds
        while alive(process) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    if alive(process):
        raise DeploymentFailed(f"process {process.pid} does not end (not even killed); look at it with ps")


def _signal(process: ProcessId, number: signal.Signals) -> None:
    try:
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)  # it leads its session, so its group has its number
        else:
            os.kill(process.pid, number)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise DeploymentFailed(f"process {process.pid} belongs to another user; stop it as that user") from error


def _started(pid: int) -> str | None:
    """Boot and start tick of a process; None if it has ended or there is no ``/proc``."""
    try:
        # The name in parentheses may hold spaces; state is field 3, threads are field 20, the start time is field 22.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if state == "Z" and int(fields[16]) <= 1:  # with more, other threads still hold its files and ports
        return None
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{fields[18]}"
