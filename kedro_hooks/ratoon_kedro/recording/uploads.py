"""Files on their way to the artifact store, beside the nodes that run meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Uploads:
    """Does what it is given in one thread of its own, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: list[Future[None]] = []

    def add(self, work: Callable[[], None]) -> None:
        """Do it when its turn comes."""
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ratoon-uploads")
            self._under_way.append(self._pool.submit(work))

    def finish(self) -> None:
        """Return when everything is done; the first exception that was raised by it is raised here."""
        with self._lock:
            pool, self._pool = self._pool, None
            futures, self._under_way = self._under_way, []
        if pool is not None:
            pool.shutdown(wait=True)
        for future in futures:
            future.result()
