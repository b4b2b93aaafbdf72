"""The write path: user code puts values into a queue, one thread groups them and commits them.

``put`` costs an append. ``flush`` writes, in the caller's thread, whatever waits: when it returns, everything that was
put before it is durable. What cannot be written is not dropped: the next attempt takes it along, and ``flush`` raises
if that fails, too.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections import deque

from msgspec import Struct, field

from ratoon.entities import Metric, RunBatch
from ratoon.errors import RatoonError, StoreError
from ratoon.stores.protocol import TrackingStore
from ratoon.tracking.parting import REFUSED, is_whole, write_apart

# An idle thread goes after so many seconds; the next value starts another one.
IDLE_SECONDS = 1.0

# How long the thread lets values gather, so that a transaction carries many; it does not wait once so many are there.
GATHER_SECONDS = 0.05
GATHERED = 10_000

# How long it lets a store rest that could not be written to, at first and at most.
REST_SECONDS = (0.2, 10.0)

# So many values may wait before the caller writes them itself: an upper limit for memory, not a batch size.
MOST_WAITING = 100_000

# So many values are kept while the store cannot be written to; then whoever logs more is told.
MOST_KEPT = 1_000_000

logger = logging.getLogger(__name__)


class Param(Struct, frozen=True):
    """A param on its way to the store."""

    key: str
    value: str


class Tag(Struct, frozen=True):
    """A tag on its way to the store."""

    key: str
    value: str


class _Pending(Struct):
    """What one run has in the queue."""

    metrics: list[Metric] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.metrics) + len(self.params) + len(self.tags)

    def add(self, entry: Metric | Param | Tag) -> None:
        if type(entry) is Metric:
            self.metrics.append(entry)
        elif isinstance(entry, Param):
            # The first value stays, as it would in the store: another one is refused where it was logged.
            self.params.setdefault(entry.key, entry.value)
        elif isinstance(entry, Tag):
            self.tags[entry.key] = entry.value

    def add_all(self, other: RunBatch) -> None:
        self.metrics.extend(other.metrics)
        self.params.update(other.params)
        self.tags.update(other.tags)

    def batch(self, run_id: str) -> RunBatch:
        return RunBatch(run_id=run_id, metrics=tuple(self.metrics), params=self.params, tags=self.tags)


class Writer:
    """Writes what many runs log to one store, from a thread of its own that ends when nothing is left to do."""

    def __init__(self, store: TrackingStore) -> None:
        self._store = store
        self._start_afresh()
        _writers.add(self)

    def put(self, run_id: str, entry: Metric | Param | Tag) -> None:
        """Add a value to what is to be written; it must have passed :mod:`ratoon.stores.limits`.

        Raises:
            StoreError: The store has not been writable for so long that no more can be kept.
        """
        if self._full:
            self._refuse()
        queue = self._queue
        queue.append((run_id, entry))
        if self._asleep:
            self._wake()
        elif len(queue) >= GATHERED:
            self._relieve()

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
        """Return when everything that was put before is written, or kept for the next attempt."""
        with self._writing:
            if self._queue or self._kept:
                self._write_waiting()

    def _start_afresh(self) -> None:
        self._queue: deque[tuple[str, Metric | Param | Tag]] = deque()
        self._kept: dict[str, _Pending] = {}
        self._errors: dict[str, RatoonError] = {}
        self._asleep = True
        self._full = False
        self._enough = threading.Event()
        self._work = threading.Event()
        self._waking = threading.Lock()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def _wake(self) -> None:
        with self._waking:
            self._asleep = False
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="ratoon-writer", daemon=True)
                try:
                    self._thread.start()
                except RuntimeError:  # the interpreter is on its way out and starts no thread any more
                    self._thread, self._asleep = None, True
                    self.drain()
                    return
                _flush_in_workers()
            self._work.set()

    def _relieve(self) -> None:
        """Many values wait: the thread need not wait for more. Where far too many do, the caller lends a hand."""
        if len(self._queue) >= MOST_WAITING:
            self.drain()
        elif not self._enough.is_set():
            self._enough.set()

    def _refuse(self) -> None:
        causes = "; ".join(sorted({str(error) for error in list(self._errors.values())}))
        raise StoreError(f"{MOST_KEPT} values wait to be written and no more are taken ({causes}); flush when it works")

    def _run(self) -> None:
        rest, longest = REST_SECONDS
        while self._work.wait(IDLE_SECONDS) or not self._retire():
            self._work.clear()
            self._enough.wait(GATHER_SECONDS)
            self._enough.clear()
            self.drain()
            if self._kept:
                time.sleep(rest)
                rest = min(2 * rest, longest)
                self._work.set()
                continue
            rest = REST_SECONDS[0]
            self._asleep = True
            # A value that came after the queue was emptied, and saw the thread awake, must not be left behind.
            if self._queue:
                self._asleep = False
                self._work.set()

    def _retire(self) -> bool:
        """Give up the thread's place, unless somebody has just brought work."""
        with self._waking:
            if self._work.is_set():
                return False
            self._thread = None
            return True

    def _write_waiting(self) -> None:
        """Write everything up to now, by one thread at a time.

        What a KeyboardInterrupt cuts short is written again by the next attempt: nothing is taken away before it is
        durable, and all of it may be written twice.
        """
        queue, kept = self._queue, self._kept
        last, found = "", _Pending()
        for _ in range(len(queue)):
            run_id, entry = queue[0]
            if run_id != last:
                last, found = run_id, kept.setdefault(run_id, _Pending())
            found.add(entry)
            queue.popleft()
        for run_id in list(kept):
            self._write(run_id, kept[run_id])
        self._full = sum(map(len, kept.values())) > MOST_KEPT

    def _write(self, run_id: str, pending: _Pending) -> None:
        batch = pending.batch(run_id)
        try:
            self._store.log_batch(batch)
        except REFUSED as error:
            self._errors[run_id] = error
            if is_whole(batch, error):  # the run is gone for good: there is nothing to try again
                del self._kept[run_id]
            else:
                self._write_apart(batch)
        except RatoonError as error:
            self._errors[run_id] = error
        except Exception as error:  # a store's bug must not end the thread and with it every later write
            logger.exception("writing to run %s failed", run_id)
            self._errors[run_id] = RatoonError(f"run '{run_id}' could not be written to ({error!r}); see the log")
            del self._kept[run_id]
        else:
            del self._kept[run_id]
            if isinstance(self._errors.get(run_id), StoreError):
                del self._errors[run_id]  # what could not be written then is written now

    def _write_apart(self, batch: RunBatch) -> None:
        """One refused value must not take the others with it."""
        later = _Pending()
        for part, error in write_apart(batch, self._store.log_batch):
            self._errors[batch.run_id] = error
            if not isinstance(error, REFUSED):
                later.add_all(part)
        if len(later):
            self._kept[batch.run_id] = later
        else:
            del self._kept[batch.run_id]


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


def _after_fork() -> None:
    """The thread stays in the parent, which writes what waits: the child begins with nothing."""
    for writer in _writers:
        writer._start_afresh()


@atexit.register
def _flush_all() -> None:
    for writer in list(_writers):
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
