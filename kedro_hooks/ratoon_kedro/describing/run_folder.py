"""The folder that all processes of a run share while it goes on: its log, the times of its nodes, what was told.

It lies where temporary files do and goes with the run: its end must not depend on a store that answers.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress

import msgspec

_TIMES = "nodes.jsonl"
_LOG = "run.log"


class NodeTime(msgspec.Struct, frozen=True, kw_only=True):
    """When a node's function ran.

    Attributes:
        node: The node's name.
        started: Milliseconds since the epoch.
        ended: The same.
        seconds: How long it took.
        failed: Whether it raised an error.
    """

    node: str
    started: int
    ended: int
    seconds: float
    failed: bool = False


def make_folder() -> str:
    """Make the folder of a run; OSError if there is no place for it."""
    return tempfile.mkdtemp(prefix="ratoon-run-")


def remove_folder(folder: str) -> None:
    """Delete the folder and what is in it."""
    shutil.rmtree(folder, ignore_errors=True)


def log_path(folder: str) -> str:
    """Where the run's log lies."""
    return os.path.join(folder, _LOG)


def note_time(folder: str, time: NodeTime) -> None:
    """Tell the process that ends the run about a node; OSError if that is not possible."""
    _append(os.path.join(folder, _TIMES), msgspec.json.encode(time) + b"\n")


def noted_times(folder: str) -> Mapping[str, NodeTime]:
    """What processes noted about nodes, by their names."""
    try:
        with open(os.path.join(folder, _TIMES), "rb") as file:
            times = msgspec.json.Decoder(NodeTime).decode_lines(file.read())
    except (OSError, msgspec.DecodeError):  # nobody wrote, or a line was cut off by a full disk
        return {}
    return {time.node: time for time in times}


def is_first(folder: str, text: str) -> bool:
    """Whether no process of the run has asked for the same text before."""
    mark = os.path.join(folder, hashlib.sha256(text.encode("utf-8", "replace")).hexdigest())
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    except OSError:  # the run has ended, or there is no place: rather twice than never
        return True
    return True


def _append(path: str, line: bytes) -> None:
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(number, line)
    finally:
        with suppress(OSError):
            os.close(number)
