"""A ratoon server in a process of its own, that tests may stop, kill and start again on the same port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = """
import sys
from ratoon.manager import make_manager
from ratoon.server.run import run_server
from ratoon.tracking.client import Client
folder, port = sys.argv[1:]
plugins = ("ratoon.stores.sql.plugin", "ratoon.artifacts.plugin")
manager = make_manager(builtins=plugins, installed=False)
client = Client(tracking_uri=f"sqlite:///{folder}/ratoon.db", artifact_root=f"{folder}/files", manager=manager)
run_server(client, port=int(port))
"""


class Server:
    """A ratoon server that keeps everything in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with open(self.folder / "server.log", "ab") as log:
            command = [sys.executable, "-c", SCRIPT, str(self.folder), str(self.port)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        end = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, wherever it is."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it take connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/api/ratoon/1/info", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def make_server(tmp_path: Path, empty_database: Path) -> Iterator[Callable[[], Server]]:
    """Make servers with nothing in them; they are not started yet."""
    made: list[Server] = []

    def make() -> Server:
        folder = tmp_path / f"server-{len(made)}"
        folder.mkdir()
        shutil.copyfile(empty_database, folder / "ratoon.db")
        made.append(Server(folder))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait for what happens in other threads and processes."""

    def wait(condition: Callable[[], object], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.05)

    return wait


@pytest.fixture
def server(make_server: Callable[[], Server]) -> Server:
    """A server that runs."""
    server = make_server()
    server.start()
    return server
