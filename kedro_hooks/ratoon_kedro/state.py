"""The runs that this process writes to, by run: Kedro may use one hook instance for several runs at a time."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratoon_kedro.context import RunContext

if TYPE_CHECKING:
    from ratoon.tracking.client import Client
    from ratoon.tracking.run import ActiveRun


@dataclass(frozen=True)
class Owned:
    """What only the process knows that started the run, and will end it."""

    pipeline: Any
    since: int  # milliseconds since the epoch


@dataclass
class Tracked:
    """A run as this process sees it."""

    context: RunContext
    client: Client
    run: ActiveRun
    owned: Owned | None = None
    params: dict[str, str] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)  # node -> perf_counter()
    unsaved: dict[str, set[str]] = field(default_factory=dict)  # node -> outputs that are still to be saved
    datasets: set[tuple[str, str]] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    # One model at a time: what saving imports, threads that import it together may find half made.
    saving_model: threading.Lock = field(default_factory=threading.Lock)

    def flush_if_attached(self) -> None:
        """Make everything durable, if this is a worker process: nobody tells it when the run ends."""
        if self.owned is None:
            self.run.flush()


class _Runs:
    """The open runs of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open: dict[str, Tracked] = {}
        self.inherited: list[dict[str, Tracked]] = []

    def forget(self) -> None:
        """Leave the parent's runs alone: its connections are not ours, nor is the end of its runs."""
        self.inherited.append(self.open)  # kept, so that no finalizer closes here what the parent still uses
        self.open = {}
        self.lock = threading.Lock()


_runs = _Runs()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_runs.forget)


def keep(tracked: Tracked) -> None:
    """Make a run known that this process started."""
    with _runs.lock:
        _runs.open[tracked.context.run_id] = tracked


def tracked_run(context: RunContext) -> Tracked:
    """The run of a context; a process that does not know it yet attaches to it."""
    with _runs.lock:
        tracked = _runs.open.get(context.run_id)
        if tracked is None:
            tracked = _runs.open[context.run_id] = _attach(context)
    return tracked


def known_run(run_id: str) -> Tracked | None:
    """The run if this process writes to it already."""
    return _runs.open.get(run_id)


def let_go(run_id: str) -> Tracked | None:
    """Take a run out: whoever gets it ends it, and nobody else."""
    return _runs.open.pop(run_id, None)


def owned_runs() -> list[str]:
    """The runs that this process started and has not ended."""
    return [run_id for run_id, tracked in list(_runs.open.items()) if tracked.owned is not None]


def _attach(context: RunContext) -> Tracked:
    from ratoon.tracking.client import Client

    client = Client(context.settings)
    run = client.attach(context.run_id)
    return Tracked(context, client, run, params=dict(run.info.params))
