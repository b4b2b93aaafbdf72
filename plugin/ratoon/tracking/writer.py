"""The write path: user code puts values into a queue, one thread groups them and commits them.

``put`` costs an append. ``flush`` returns when everything that was put before it is durable. What cannot be written is
not dropped: the next flush tries again, and raises if it still fails.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Iterable

from msgspec import Struct, field

from ratoon.entities import Metric, RunBatch
from ratoon.errors import InvalidInput, NotFound, RatoonError, StoreError
from ratoon.stores.protocol import TrackingStore

# An idle thread goes after so many seconds; the next value starts another one.
IDLE_SECONDS = 1.0

# So many entries may wait before the caller waits, too: an upper limit for memory, not a batch size.
MOST_WAITING = 100_000

logger = logging.getLogger(__name__)


class Param(Struct, frozen=True):
    """A param on its way to the store."""

    key: str
    value: str


class Tag(Struct, frozen=True):
    """A tag on its way to the store."""

    key: str
    value: str


class _Barrier(Struct):
    passed: threading.Event


class _Pending(Struct):
    """What one run has in the queue."""

    metrics: list[Metric] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, entry: Metric | Param | Tag) -> None:
        if isinstance(entry, Metric):
            self.metrics.append(entry)
        elif isinstance(entry, Param):
            # The first value stays, as it would in the store: another one is refused where it was logged.
            self.params.setdefault(entry.key, entry.value)
        else:
            self.tags[entry.key] = entry.value

    def add_all(self, batch: RunBatch) -> None:
        self.metrics.extend(batch.metrics)
        self.params.update(batch.params)
        self.tags.update(batch.tags)


class Writer:
    """Writes what many runs log to one store, from a thread of its own that ends when nothing is left to do."""

    def __init__(self, store: TrackingStore) -> None:
        self._store = store
        self._start_afresh()
        _writers.add(self)

    def put(self, run_id: str, entry: Metric | Param | Tag) -> None:
        """Add a value to what is to be written; it must have passed :mod:`ratoon.stores.limits`."""
        self._queue.append((run_id, entry))
        if not self._busy.is_set():
            self._wake()
        if len(self._queue) > MOST_WAITING:
            self.drain()

    def flush(self, run_id: str) -> None:
        """Return when everything that was put before is durable.

        Raises:
            StoreError: The store cannot be written to; what was put is kept and tried again by the next flush.
            InvalidInput: The store refused a value, for example a param that another process had written.
        """
        self.drain()
        error = self._errors.pop(run_id, None)
        if error is not None:
            raise error

    def drain(self) -> None:
        """Return when everything that was put before is written, or kept for the next flush."""
        barrier = _Barrier(threading.Event())
        self._queue.append(("", barrier))
        self._wake()
        barrier.passed.wait()

    def _start_afresh(self) -> None:
        self._queue: deque[tuple[str, Metric | Param | Tag | _Barrier]] = deque()
        self._kept: dict[str, _Pending] = {}
        self._errors: dict[str, RatoonError] = {}
        self._busy = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._work = threading.Event()

    def _wake(self) -> None:
        self._busy.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="ratoon-writer", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is on its way out and starts no thread any more
                    self._thread = None
                    self._write_waiting()
                    return
                _flush_in_workers()
            self._work.set()

    def _run(self) -> None:
        while self._work.wait(IDLE_SECONDS) or not self._retire():
            self._work.clear()
            while self._queue:
                self._write_waiting()
            self._busy.clear()
            # An entry that came after the queue was seen empty, and saw the thread busy, must not be left behind.
            if self._queue:
                self._busy.set()
                self._work.set()

    def _retire(self) -> bool:
        """Give up the thread's place, unless somebody has just brought work."""
        with self._lock:
            if self._work.is_set():
                return False
            self._thread = None
            return True

    def _write_waiting(self) -> None:
        """Write everything up to now; barriers open when what lay before them is written."""
        pending, self._kept = self._kept, {}
        barriers = []
        for _ in range(len(self._queue)):
            run_id, entry = self._queue.popleft()
            if isinstance(entry, _Barrier):
                barriers.append(entry)
            else:
                pending.setdefault(run_id, _Pending()).add(entry)
        for run_id, found in pending.items():
            self._write(run_id, found)
        for barrier in barriers:
            barrier.passed.set()

    def _write(self, run_id: str, pending: _Pending) -> None:
        batch = RunBatch(run_id=run_id, metrics=tuple(pending.metrics), params=pending.params, tags=pending.tags)
        try:
            self._store.log_batch(batch)
            if isinstance(self._errors.get(run_id), StoreError):
                del self._errors[run_id]  # what could not be written then is written now
        except InvalidInput as error:
            self._write_apart(batch, error)
        except NotFound as error:  # the run is gone for good: there is nothing to try again
            self._errors[run_id] = error
        except RatoonError as error:
            self._kept[run_id] = pending
            self._errors[run_id] = error
        except Exception as error:  # a store's bug must not end the thread and with it every later write
            logger.exception("writing to run %s failed", run_id)
            self._errors[run_id] = RatoonError(f"run '{run_id}' could not be written to ({error!r}); see the log")

    def _write_apart(self, batch: RunBatch, error: InvalidInput) -> None:
        """One refused value must not take the others with it."""
        parts: Iterable[RunBatch] = (
            RunBatch(run_id=batch.run_id, metrics=batch.metrics, tags=batch.tags),
            *(RunBatch(run_id=batch.run_id, params={key: value}) for key, value in batch.params.items()),
        )
        self._errors[batch.run_id] = error
        for part in parts:
            try:
                self._store.log_batch(part)
            except InvalidInput as refused:
                self._errors[batch.run_id] = refused
            except RatoonError as failed:
                self._errors[batch.run_id] = failed
                self._kept.setdefault(batch.run_id, _Pending()).add_all(part)


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


def _after_fork() -> None:
    """The thread stays in the parent, which writes what waits: the child begins with nothing."""
    for writer in _writers:
        writer._start_afresh()


@atexit.register
def _flush_all() -> None:
    for writer in list(_writers):
        if writer._queue or writer._kept or writer._thread is not None:
            writer.drain()
        for run_id, error in writer._errors.items():
            logger.error("run %s: the last values could not be written: %s", run_id, error)


def _flush_in_workers() -> None:
    """A worker of multiprocessing ends without its atexit functions, but not without its finalizers."""
    process, util = (sys.modules.get(f"multiprocessing.{name}") for name in ("process", "util"))
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _flush_all, exitpriority=100)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
