"""MLflow's own client, in an environment of its own, and servers for it to talk to."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest

MLFLOW = "3.17.2"
PACKAGES = (f"mlflow=={MLFLOW}", "scikit-learn", "pandas", "numpy", "matplotlib", "pillow", "skops", "setuptools<81")
LIBRARIES = (
    "catboost",
    "keras",
    "lightgbm",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "pyspark",
    "scikit-learn",
    "skops",
    "statsmodels",
    "tensorflow-cpu",
    "torch",
    "transformers",
    "xgboost",
)


class Running(NamedTuple):
    """A server that was started with the command line."""

    url: str
    process: subprocess.Popen[str]

    def memory(self, key: str) -> int:
        """A figure of the process's memory in KiB, ``VmHWM`` for its highest."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{key}:")[2].split()[0])


class MlflowServer:
    """MLflow's own server; it may be stopped and started again on the same port."""

    def __init__(self, python: Path, folder: Path, empty: Path) -> None:
        self._empty = empty
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self._port = listener.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/files"]
        listening = ["--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
        self._command = [str(python), "-m", "mlflow", "server", *store, *listening]

    def start(self) -> None:
        """Start it and wait until it answers; its first database is a copy, since making one takes half a minute."""
        database = self._folder / "mlflow.db"
        if not database.exists() and self._empty.exists():
            shutil.copyfile(self._empty, database)
        self._start()
        if not self._empty.exists():
            draft = self._empty.with_name(f"{uuid.uuid4().hex}.db")
            with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(draft)) as target:
                source.backup(target)
            os.replace(draft, self._empty)

    def _start(self) -> None:
        with open(self._folder / "server.log", "ab") as log:
            environ = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=self._folder, env=environ, start_new_session=True
            )
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return
            except OSError:
                assert self._process.poll() is None and time.monotonic() < end, "MLflow's server did not start"
                time.sleep(0.2)

    def empty(self) -> None:
        """Take away everything that it keeps but the experiment that it begins with."""
        with closing(sqlite3.connect(self._folder / "mlflow.db", timeout=20)) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                if table not in ("alembic_version", "workspaces"):
                    first = " WHERE experiment_id <> 0" if table == "experiments" else ""
                    database.execute(f"DELETE FROM {table}{first}")
            database.commit()

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # its workers are in its session
        self._process.wait()


@pytest.fixture(scope="module")
def mlflow_server(
    mlflow_python: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[MlflowServer]:
    """A server of MLflow's own, with nothing in it."""
    empty = Path(request.config.cache.mkdir(f"mlflow-{MLFLOW}")) / "empty.db"
    server = MlflowServer(mlflow_python, tmp_path_factory.mktemp("mlflow"), empty)
    server.start()
    yield server
    server.kill()


StartServer = Callable[[str], "AbstractContextManager[Running]"]
MakeEnvironment = Callable[[str, Sequence[str]], Path]


@pytest.fixture(scope="session")
def mlflow_python(environment_of: MakeEnvironment) -> Path:
    """The Python of an environment with MLflow, made once and kept in pytest's cache.

    The variable ``RATOON_MLFLOW_VENV`` names one that exists already.
    """
    return _python_with_mlflow(environment_of, "RATOON_MLFLOW_VENV", f"mlflow-{MLFLOW}", PACKAGES)


@pytest.fixture(scope="session")
def mlflow_flavors_python(environment_of: MakeEnvironment) -> Path:
    """The same with every library whose models are saved and loaded, in the versions that are installed here.

    The variable ``RATOON_MLFLOW_FLAVORS_VENV`` names one that exists already.
    """
    pins = [f"{name}=={version(name).partition('+')[0]}" for name in LIBRARIES]
    name = f"mlflow-{MLFLOW}-flavors-{sha256(' '.join(pins).encode()).hexdigest()[:8]}"
    return _python_with_mlflow(environment_of, "RATOON_MLFLOW_FLAVORS_VENV", name, (f"mlflow=={MLFLOW}", *pins))


def _python_with_mlflow(environment_of: MakeEnvironment, variable: str, name: str, packages: Sequence[str]) -> Path:
    given = os.environ.get(variable)
    python = Path(given) / "bin" / "python" if given else environment_of(name, packages)
    found = subprocess.run(
        [python, "-c", "import mlflow; print(mlflow.__version__)"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert found.stdout.strip() == MLFLOW
    return python


@pytest.fixture
def start_server(tmp_path: Path) -> StartServer:
    """Start ``ratoon server`` on a free port, over a database."""

    @contextmanager
    def start(tracking_uri: str) -> Iterator[Running]:
        command = [sys.executable, "-m", "ratoon", "--tracking-uri", tracking_uri]
        command += ["--artifact-root", str(tmp_path / "artifacts"), "server", "--port", "0"]
        log = tmp_path / "server.log"
        with (
            open(log, "w") as file,
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process,
        ):
            assert process.stderr is not None
            try:
                url = _announced(process)
                yield Running(url, process)
            finally:
                process.terminate()
                file.write(process.communicate(timeout=60)[1])
        assert "Traceback" not in log.read_text()

    return start


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, start_server: StartServer, tmp_path: Path) -> Iterator[Running]:
    """A server over a new database of each kind."""
    database = f"sqlite:///{tmp_path / 'ratoon.db'}"
    with start_server(database if request.param == "sqlite" else request.getfixturevalue("postgresql_uri")) as running:
        yield running


def _announced(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for _ in range(50):
        assert select.select([process.stderr], [], [], 60)[0], "the server said nothing"
        line = process.stderr.readline()
        assert line, f"the server ended with {process.wait()}"
        if found := re.match(r"ratoon server on (http://127\.0\.0\.1:\d+) keeps ", line):
            return found[1]
    raise AssertionError("the server never said that it is ready")
