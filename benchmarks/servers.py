"""The servers that are compared: ratoon's, MLflow's and one that does the least, each in processes of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from interleaved import HERE, quiet_environment

API = "/api/2.0/mlflow"
# MLflow's takes a quarter of a minute on an idle machine.
START_SECONDS = 240
REST_SECONDS = 3


class Server:
    """A server that answers when this returns.

    Args:
        command: How it is started; ``{folder}`` and ``{port}`` are replaced.
        folder: A new folder for what it keeps.

    Attributes:
        port: Where it listens on the loopback.
        first_answer: CPU seconds that it had used when it answered for the first time.
    """

    def __init__(self, command: Sequence[object], folder: Path) -> None:
        folder.mkdir(parents=True)
        self.port = _free_port()
        self._log = folder / "log"
        arguments = [str(part).format(folder=folder, port=self.port) for part in command]
        with open(self._log, "wb") as log:
            self._process = psutil.Popen(arguments, cwd=folder, env=quiet_environment(), stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise
        self.first_answer = self.cpu()

    @property
    def url(self) -> str:
        """Its address, as clients take it."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        """A new connection to it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600, blocksize=1024 * 1024)

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """What a request is answered with; the benchmark ends if it is refused."""
        connection = self.connect()
        try:
            kind = "application/json" if method == "POST" else "application/octet-stream"
            connection.request(method, path, body, {"Content-Type": kind} if body else {})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            sys.exit(f"{method} {path} was answered with {answer.status}: {content[:500]!r}\n{self.log()}")
        return content

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer to a call of MLflow's API."""
        return json.loads(self.request("POST", API + path, json.dumps(body).encode()))

    def cpu(self) -> float:
        """CPU seconds of all its processes so far, those that ended included."""
        used = 0.0
        for process in self._tree():
            # One that ended in this moment is in the next figure of its parent.
            with contextlib.suppress(psutil.NoSuchProcess, OSError):
                times = process.cpu_times()
                own = _fine_cpu(process.pid) if sys.platform == "linux" else times.user + times.system
                used += own + times.children_user + times.children_system
        return used

    def idle_memory(self) -> float:
        """Bytes of memory that are its own, after a rest: what processes share is divided among them."""
        time.sleep(REST_SECONDS)
        found = [each.memory_full_info() for each in self._tree()]
        return float(sum(getattr(each, "pss", each.uss) for each in found))

    @contextlib.contextmanager
    def watched(self) -> Iterator[Callable[[], int]]:
        """By how many bytes its memory grew at most while the block ran; the answer holds once the block ended."""
        tree = self._tree()
        before = highest = _resident(tree)
        ended = threading.Event()

        def look() -> None:
            nonlocal highest
            while not ended.wait(0.02):
                highest = max(highest, _resident(tree))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield lambda: highest - before
        finally:
            ended.set()
            thread.join()

    def log(self) -> str:
        """The end of what it wrote."""
        return self._log.read_text(errors="replace")[-3000:]

    def close(self) -> None:
        """End all its processes."""
        tree = self._tree()
        for process in reversed(tree):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in psutil.wait_procs(tree, timeout=20)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _wait(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            try:
                self.post("/experiments/search", {"max_results": 1})
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        sys.exit(f"the server on port {self.port} did not answer:\n{self.log()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def commands(mlflow: str, least: str) -> dict[str, list[object]]:
    """How the servers are started: MLflow's with one worker, and the program in ``contestants/`` that is the limit."""
    database = "sqlite:///{folder}/runs.db"
    return {
        "mlflow": [mlflow, "-m", "mlflow", "server", "--workers", "1", "--port", "{port}",
                   "--backend-store-uri", database, "--artifacts-destination", "{folder}/artifacts"],
        "ours": [sys.executable, "-m", "ratoon", "--tracking-uri", database, "--artifact-root", "{folder}/artifacts",
                 "server", "--port", "{port}"],
        "limit": [sys.executable, HERE / "contestants" / least, "{folder}", "{port}"],
    }  # fmt: skip


def _fine_cpu(pid: int) -> float:
    """CPU seconds of a process: what ``clock_getcpuclockid(3)`` names, while psutil counts hundredths of a second."""
    return time.clock_gettime(~pid << 3 | 2)


def _resident(tree: Sequence[psutil.Process]) -> int:
    found = 0
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += process.memory_info().rss
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
