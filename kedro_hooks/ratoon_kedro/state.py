"""The runs that this process writes to, by run: Kedro may use one hook instance for several runs at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratoon_kedro.context import Project, RunContext
from ratoon_kedro.options.dataset_options import DatasetOptions, options_of
from ratoon_kedro.recording.uploads import Uploads

if TYPE_CHECKING:
    from ratoon.entities import DatasetInput
    from ratoon.tracking.client import Client
    from ratoon.tracking.run import ActiveRun
    from ratoon_kedro.describing.effective import Resolved
    from ratoon_kedro.describing.run_folder import NodeTime


@dataclass(frozen=True)
class Owned:
    """What only the process knows that started the run, and will end it."""

    pipeline: Any
    since: int  # milliseconds since the epoch
    catalog: Any
    project: Project
    run_params: Mapping[str, Any]
    resolved: Resolved


@dataclass
class Tracked:
    """A run as this process sees it."""

    context: RunContext
    client: Client
    run: ActiveRun
    owned: Owned | None = None
    params: dict[str, str] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)  # node -> perf_counter()
    generating: dict[str, tuple[Any, float]] = field(default_factory=dict)  # node -> itself, its last output
    times: dict[str, NodeTime] = field(default_factory=dict)
    unsaved: dict[str, set[str]] = field(default_factory=dict)  # node -> outputs that are still to be saved
    datasets: set[tuple[str, str]] = field(default_factory=set)  # (name, role)
    options: dict[str, DatasetOptions] = field(default_factory=dict)
    chunked: dict[str, Any] = field(default_factory=dict)  # dataset that was saved piece by piece -> catalog
    inputs: list[DatasetInput] = field(default_factory=list)  # waiting to be written
    writing: threading.Timer | None = None  # what will write them
    sending: threading.Lock = field(default_factory=threading.Lock)  # held by who writes them
    uploads: Uploads = field(default_factory=Uploads)
    lock: threading.Lock = field(default_factory=threading.Lock)
    # One model at a time: what saving imports, threads that import it together may find half made.
    saving_model: threading.Lock = field(default_factory=threading.Lock)
    # One figure at a time: Matplotlib's state is not made for threads.
    drawing: threading.Lock = field(default_factory=threading.Lock)

    def options_of(self, catalog: Any, name: str) -> DatasetOptions:
        """What the catalog says about recording a dataset; looked up once for each."""
        options = self.options.get(name)
        if options is None:
            options = self.options[name] = options_of(catalog.get(name), name)
        return options

    def expect_chunks(self, name: str, catalog: Any) -> None:
        """Remember a dataset that is saved piece by piece, until this process runs no more nodes."""
        with self.lock:
            if not self.chunked and self.owned is None:
                _settle_at_exit(self)
            self.chunked[name] = catalog


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
    run = client.attach(context.run or context.run_id)
    return Tracked(context, client, run, params=dict(run.info.params))


def _settle_at_exit(tracked: Tracked) -> None:
    """Settle when a worker process leaves, which it does before the pipeline ends: no hook tells it of the last node.

    It does so without its atexit functions, but not without its finalizers; that of the writer comes later.
    """
    from multiprocessing.util import Finalize

    def settle_and_flush() -> None:
        from ratoon_kedro.recording.nodes import settle

        settle(tracked)
        tracked.run.flush()

    Finalize(None, settle_and_flush, exitpriority=200)
