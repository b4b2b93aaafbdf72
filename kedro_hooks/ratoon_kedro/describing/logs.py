"""What Kedro and the project log while a run is open, from all its threads and processes, into one file.

A line belongs to the run of the thread that logs it: threads are known from the beginning of the run and of its nodes,
others by the catalog that they work with. What cannot be told apart goes to every run that is open.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path
from types import FrameType

from msgspec import Struct

from ratoon_kedro.describing.log_files import LogFile, gather
from ratoon_kedro.recording.params import without_userinfo

logger = logging.getLogger(__name__)


class _Open(Struct, frozen=True):
    """The log of an open run."""

    file: LogFile
    catalog: int  # its identity
    process: int


_open: dict[str, _Open] = {}
_handlers: list[tuple[logging.Logger, logging.Handler]] = []

# The run that a thread works for; None if it is not known, and "" for none of those that are open.
_bound: ContextVar[str | None] = ContextVar("ratoon_log", default=None)


def begin(run_id: str, catalog: object, path: str) -> None:
    """Keep the log of a run that this thread begins, in a file whose folder exists.

    Raises:
        OSError: There is no place for it.
    """
    _open[run_id] = _Open(LogFile(path), id(catalog), os.getpid())
    bind(run_id)
    _listen()


def join(run_id: str, path: str) -> None:
    """Append to the log of a run that another process began; it is the only run that this process works for."""
    known = _open.get(run_id)
    if known is not None and known.process == os.getpid():
        return
    try:
        file = LogFile(path)
    except OSError:  # the run has ended, and its log is gone
        return
    _open.clear()
    _open[run_id] = _Open(file, 0, os.getpid())
    bind(run_id)
    _listen()


def bind(run_id: str) -> None:
    """Remember for this thread for which run it works; an empty text for none."""
    _bound.set(run_id)


def finish(run_id: str) -> Path | None:
    """Close the log of a run; where the whole of it lies; None if there is none."""
    log = _open.pop(run_id, None)
    if not _open:
        _listen_no_more()
    if log is None:
        return None
    log.file.close()
    if log.file.failed is not None:
        logger.warning("ratoon could not keep the run's whole log (%s)", log.file.failed)
    gather(log.file.path)
    return Path(log.file.path)


class _Handler(logging.Handler):
    """Writes to the logs of the open runs what the other handlers of a logger show.

    Args:
        beside: The other handlers; without any, warnings go where Python shows them then.
    """

    def __init__(self, beside: Iterable[logging.Handler]) -> None:
        levels = [handler.level for handler in beside]
        super().__init__(min(levels, default=logging.NOTSET))
        self._alone = not levels

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; an error here is nobody's concern who logs."""
        if self._alone and logging.lastResort is not None and record.levelno >= logging.lastResort.level:
            logging.lastResort.handle(record)
        files = _files()
        if not files:
            return
        try:
            entry = _entry(record)
        except Exception:  # arguments that do not fit their message: the other handlers say so
            entry = f"{record.levelname} {record.name}: {record.msg!r}\n".encode("utf-8", "backslashreplace")
        for file in files:
            file.append(entry)


def _listen() -> None:
    """Be told what is logged: at the root, and at loggers that keep theirs to themselves."""
    known = [logger for logger, _ in _handlers]
    found = [each for each in list(logging.root.manager.loggerDict.values()) if isinstance(each, logging.Logger)]
    for place in [logging.root, *(each for each in found if not each.propagate and each.handlers)]:
        if place not in known:
            handler = _Handler(place.handlers)
            place.addHandler(handler)
            _handlers.append((place, handler))


def _listen_no_more() -> None:
    while _handlers:
        place, handler = _handlers.pop()
        place.removeHandler(handler)


def _files() -> list[LogFile]:
    """The files that a line of this thread belongs in."""
    run_id = _bound.get()
    if run_id is None and len(_open) > 1:
        run_id = _by_catalog(sys._getframe(2))
    if run_id is not None:
        return [_open[run_id].file] if run_id in _open else []
    return [log.file for log in list(_open.values())]


def _by_catalog(frame: FrameType | None) -> str | None:
    """The run whose catalog one of the callers works with; None if there is none."""
    runs = {log.catalog: run_id for run_id, log in list(_open.items())}
    while frame is not None:
        for name in ("catalog", "self"):
            run_id = runs.get(id(frame.f_locals.get(name)))
            if run_id is not None:
                return run_id
        frame = frame.f_back
    return None


_formatter = logging.Formatter()
_second: tuple[int, str] = (-1, "")


def _entry(record: logging.LogRecord) -> bytes:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + (record.exc_text or _formatter.formatException(record.exc_info))
    if record.stack_info:
        text += "\n" + record.stack_info
    text = without_userinfo(text)
    milliseconds = int(record.created * 1000) % 1000
    line = f"{_stamp(int(record.created))}.{milliseconds:03}Z {record.levelname:<8}{record.name}: {text}\n"
    return line.encode("utf-8", "backslashreplace")


def _stamp(second: int) -> str:
    """The second in ISO 8601, UTC; made once for all lines of it."""
    global _second
    known, text = _second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _second = (second, text)
    return text
