"""The ends that no hook is told about: Ctrl-C, ``sys.exit`` in a node, SIGTERM."""

from __future__ import annotations

import atexit
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

PATIENCE = 10.0  # seconds that a terminated process may spend on ending its runs

_atexit_done = False


def install(end_runs: Callable[[], None]) -> None:
    """Have ``end_runs`` called when the process leaves, or is asked to leave; again and again is the same as once."""
    global _atexit_done
    if not _atexit_done:
        _atexit_done = True
        atexit.register(end_runs)
    if threading.current_thread() is threading.main_thread():
        _take_sigterm(end_runs)


def _take_sigterm(end_runs: Callable[[], None]) -> None:
    previous = signal.getsignal(signal.SIGTERM)
    if previous is None or previous is signal.SIG_IGN or getattr(previous, "ends_ratoon_runs", False):
        return  # installed from outside Python, not wanted by the user, or there already

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        # In a thread of its own: this one may be interrupted while it holds a lock that ending a run needs.
        ending = threading.Thread(target=end_runs, name="ratoon-sigterm", daemon=True)
        ending.start()
        ending.join(PATIENCE)
        if callable(previous):
            previous(number, frame)
        else:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    on_sigterm.ends_ratoon_runs = True  # type: ignore[attr-defined]
    signal.signal(signal.SIGTERM, on_sigterm)
