"""The run around user code that somebody else tracks: a Kedro node's, for example.

The logging functions write to it as long as the code itself has started none. They never end it: it belongs to whoever
said that it is there.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratoon.tracking.run import ActiveRun

_here: ContextVar[ActiveRun | None] = ContextVar("ratoon_surrounding", default=None)
_lock = threading.Lock()
_entered: dict[str, tuple[ActiveRun, int]] = {}


def enter(run: ActiveRun) -> None:
    """Say that what follows in this thread belongs to a run."""
    _here.set(run)
    with _lock:
        _, times = _entered.get(run.run_id, (run, 0))
        _entered[run.run_id] = (run, times + 1)


def leave(run: ActiveRun) -> None:
    """Say that what follows no longer does."""
    _here.set(None)
    with _lock:
        _, times = _entered.pop(run.run_id, (run, 0))
        if times > 1:
            _entered[run.run_id] = (run, times - 1)


def surrounding_run() -> ActiveRun | None:
    """The run that this code belongs to; in a thread that the code has started, the only one of the process."""
    run = _here.get()
    if run is None and len(_entered) == 1:
        with _lock:
            run = next((each for each, _ in _entered.values()), None)
    return run
