"""The processes of a sweep's trials: started, waited for, ended."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ratoon_kedro.options.project_store import ProjectStore
from ratoon_kedro.sweeping import warm
from ratoon_kedro.sweeping.trial import NOT_FORKED, Order, run_trial

# So long may a trial take to put its things in order when it is told to leave, in seconds.
PATIENCE = 15.0


class Ended(Struct, frozen=True):
    """A process that has ended: the run of its trial, its exit code, and the last line that it printed."""

    run_id: str
    code: int
    last_line: str


class Processes:
    """The trials that run now.

    Args:
        store: The project, and where its runs are.
        words: The options of ``kedro run`` for every trial.
        fresh: Whether each trial starts a Python of its own rather than being forked.
    """

    def __init__(self, store: ProjectStore, words: Sequence[str], *, fresh: bool = False) -> None:
        self._store, self._words = store, tuple(words)
        self._logs = Path(tempfile.mkdtemp(prefix="ratoon-sweep-"))
        self._running: dict[str, tuple[Any, Order]] = {}
        self._forking = not fresh and "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = self._forkserver() if self._forking else multiprocessing.get_context("spawn")

    def start(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Start the trial that tracks to a run."""
        order = Order(
            project=str(self._store.path),
            run_id=run_id,
            words=self._words,
            params=params,
            environment=self._store.variables(),
            log=str(self._logs / f"{run_id}.log"),
            forked=self._forking,
        )
        self._launch(order)

    @property
    def running(self) -> list[str]:
        """The runs of the trials that are under way."""
        return list(self._running)

    def wait(self, seconds: float) -> list[Ended]:
        """Wait for the end of a trial, at most so long; returns those that have ended."""
        by_sentinel = {process.sentinel: run_id for run_id, (process, _) in self._running.items()}
        ended = []
        for sentinel in wait(list(by_sentinel), seconds):
            process, order = self._running.pop(by_sentinel[sentinel])
            process.join()
            if process.exitcode == NOT_FORKED and order.forked:
                self._stop_forking()
                self._launch(msgspec.structs.replace(order, forked=False))
            else:
                ended.append(Ended(order.run_id, int(process.exitcode), _last_line(Path(order.log))))
        return ended

    def stop(self, run_ids: Sequence[str]) -> None:
        """Tell trials to leave, and wait until they have."""
        processes = [self._running.pop(run_id)[0] for run_id in run_ids if run_id in self._running]
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()

    def close(self) -> None:
        """End what runs, and remove what it printed."""
        self.stop(self.running)
        shutil.rmtree(self._logs, ignore_errors=True)

    def _launch(self, order: Order) -> None:
        process = self._context.Process(target=run_trial, args=(order,), name=f"trial {order.run_id}")
        process.start()
        self._running[order.run_id] = (process, order)

    def _forkserver(self) -> Any:
        os.environ[warm.PROJECT] = str(self._store.path)
        if self._store.env:
            os.environ["KEDRO_ENV"] = self._store.env
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([warm.__name__])
        return context

    def _stop_forking(self) -> None:
        """The project imports what does not survive a fork; every trial starts from nothing from now on."""
        self._forking = False
        self._context = multiprocessing.get_context("spawn")


def _last_line(log: Path) -> str:
    """What a process said last, without the frames that rich draws around it."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    told = (" ".join(line.split()).strip("│╭╮╰╯─ ") for line in reversed(lines))
    return next((line for line in told if line), "")[:300]
