"""A log file that several processes append to, and of which only the beginning and the end are kept.

The first lines go to the file itself. When it has half of what may be kept, later ones go to a second file beside it,
which takes the place of a third one as often as it is full: so much as may be kept is always there, and never more than
half as much again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

KEPT = 10 * 2**20  # bytes
LONGEST = 2**20  # bytes of one entry
_LOOK_AFTER = 64 * 2**10  # bytes that a process writes before it looks how large the file has become

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class LogFile:
    """The place that one process appends to.

    Args:
        path: The file; its folder exists.
        kept: How many bytes are kept in all.
    """

    def __init__(self, path: str, kept: int = KEPT) -> None:
        self.path = path
        self._half = kept // 2
        self._look_after = min(_LOOK_AFTER, self._half // 8)
        self._head = os.open(path, _FLAGS, 0o600)
        self._tail: int | None = None
        self._written = 0
        self._closed = False
        # Held again by a signal's handler that says something; and by nobody in a process that is forked from this one.
        self._lock, self._process = threading.RLock(), os.getpid()
        self.failed: OSError | None = None

    def append(self, entry: bytes) -> None:
        """Write one entry, whole; what cannot be written is left out, and ``failed`` holds the reason.

        After :meth:`close` nothing is written: the numbers of the files may be those of others by then.
        """
        with self._alone():
            if self._closed:
                return
            try:
                os.write(self._head if self._tail is None else self._tail, entry[:LONGEST])
                self._written += len(entry)
                if self._written >= self._look_after:
                    self._written = 0
                    self._look()
            except OSError as error:
                self.failed = error

    def close(self) -> None:
        """Let the files go; they stay where they are."""
        with self._alone():
            if self._closed:
                return
            self._closed = True
            for number in (self._head, self._tail):
                if number is not None:
                    with suppress(OSError):
                        os.close(number)

    def _alone(self) -> threading.RLock:
        """What keeps the other threads of this process away."""
        if self._process != os.getpid():
            self._lock, self._process = threading.RLock(), os.getpid()
        return self._lock

    def _look(self) -> None:
        if self._tail is None:
            if os.fstat(self._head).st_size >= self._half:
                self._tail = os.open(_second(self.path), _FLAGS, 0o600)
            return
        with _locked(self._head):
            # Somebody else may have put a new file in its place.
            current = os.open(_second(self.path), _FLAGS, 0o600)
            before, self._tail = self._tail, current
            os.close(before)
            if os.fstat(current).st_size >= self._half:
                os.replace(_second(self.path), _third(self.path))
                self._tail = os.open(_second(self.path), _FLAGS, 0o600)
                os.close(current)


def gather(path: str, kept: int = KEPT) -> None:
    """Make one file of what was kept, when nobody writes any more."""
    parts = [Path(name) for name in (_third(path), _second(path)) if Path(name).exists()]
    if not parts:
        return
    end = b"".join(part.read_bytes() for part in parts)
    missing = len(parts) > 1 or len(end) > kept // 2
    if len(end) > kept // 2:
        end = end[-(kept // 2) :].partition(b"\n")[2]
    with open(path, "ab") as file:
        if missing:
            file.write(f"[… the log is longer than {kept:,} bytes: lines are left out here …]\n".encode())
        file.write(end)
    for part in parts:
        part.unlink()


def _second(path: str) -> str:
    return f"{path}.2"


def _third(path: str) -> str:
    return f"{path}.3"


@contextmanager
def _locked(number: int) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # no such locks on Windows: at worst two processes make room at once, and lines are lost
        yield
        return
    fcntl.flock(number, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(number, fcntl.LOCK_UN)
