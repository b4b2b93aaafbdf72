"""Whether the process of a sweep is still there: it may be gone without having said so."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from ratoon.clock import now_ms

PROCESS = "ratoon.sweep.process"
HEARTBEAT = "ratoon.sweep.heartbeat"
INTERVAL = 15.0  # seconds between two signs of life
DEAD_AFTER = 60_000  # milliseconds without one


def this_process() -> str:
    """This process among all that ever were, on all machines."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_alive(tags: Mapping[str, str]) -> bool:
    """Whether the process is there that the tags of a sweep name.

    On the same machine the process is looked for; of another one a sign of life is expected.
    """
    host, _, rest = tags.get(PROCESS, "").partition(":")
    pid, _, started = rest.partition(":")
    if host == socket.gethostname() and pid.isdigit() and os.name == "posix":
        return _exists(int(pid)) and _started(int(pid)) == started
    beat = tags.get(HEARTBEAT, "")
    return beat.isdigit() and now_ms() - int(beat) < DEAD_AFTER


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str:
    """When a process started, in ticks since the machine did; empty where that cannot be found out."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "ended" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        return ""
