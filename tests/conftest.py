"""What tests need beside themselves: a real PostgreSQL, and environments of other programs."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

POSTGRESQL_HOMES = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local")


@pytest.fixture(scope="session")
def environment_of(request: pytest.FixtureRequest) -> Callable[[str, Sequence[str]], Path]:
    """Makes a virtual environment by name and packages, once, and keeps it in pytest's cache; gives its Python."""

    def environment(name: str, packages: Sequence[str]) -> Path:
        venv = Path(request.config.cache.mkdir(name)) / "venv"
        python = venv / "bin" / "python"
        with open(venv.with_name("lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes
            if not (venv / "complete").exists():
                _make_environment(venv, python, packages)
                (venv / "complete").touch()
        return python

    return environment


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URI of a PostgreSQL server on loopback, without a database name.

    The variable ``RATOON_TEST_POSTGRESQL`` names one that runs already. Without a PostgreSQL the tests that need one
    are skipped, unless ``RATOON_REQUIRE_SERVICES`` is set: then they fail.
    """
    if given := os.environ.get("RATOON_TEST_POSTGRESQL"):
        yield given.rstrip("/")
        return
    programs = _postgresql_programs()
    if programs is None:
        message = "PostgreSQL is not installed (apt-get install postgresql)"
        if os.environ.get("RATOON_REQUIRE_SERVICES"):
            pytest.fail(message)
        pytest.skip(message)
    # Its folder cannot lie in pytest's own, which only the owner of the tests may enter.
    folder = Path(tempfile.mkdtemp(prefix="ratoon-postgresql-"))
    try:
        yield from _running(programs, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_uri(postgresql_server: str) -> Iterator[str]:
    """The URI of an empty database, dropped after the test."""
    import psycopg

    name = f"ratoon_{uuid.uuid4().hex}"
    with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield f"{postgresql_server}/{name}"
    with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _make_environment(venv: Path, python: Path, packages: Sequence[str]) -> None:
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--seed", "--clear", "--python", sys.executable, venv], check=True, timeout=300)
    # PyTorch comes through pip, which can be told by its own configuration where a build without CUDA lies.
    for torch in (package for package in packages if package.startswith("torch==")):
        subprocess.run([python, "-m", "pip", "install", "-q", torch], check=True, timeout=1800)
    subprocess.run([*uv, "pip", "install", "-q", "--python", python, *packages], check=True, timeout=1800)


def _postgresql_programs() -> Path | None:
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).parent
    versions = (folder for home in POSTGRESQL_HOMES for folder in sorted(Path(home).glob("*/bin"), reverse=True))
    return next((folder for folder in versions if (folder / "pg_ctl").exists()), None)


def _running(programs: Path, folder: Path) -> Iterator[str]:
    port = _free_port()
    data = folder / "data"
    _as_its_user(folder, programs / "initdb", "-D", data, "-U", "ratoon", "--auth=trust", "--no-sync", "-E", "UTF8")
    # Durability is what tests of SQLite look at; here it would only cost time.
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = (programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w")
    _as_its_user(folder, *control, "-o", options, "start")
    try:
        yield f"postgresql://ratoon@127.0.0.1:{port}"
    finally:
        _as_its_user(folder, *control, "-m", "immediate", "stop")


def _as_its_user(folder: Path, *command: object) -> None:
    """PostgreSQL refuses to run as root: there it runs as the user that its package made."""
    options = {}
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        options = {"user": "postgres", "group": "postgres", "extra_groups": []}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    if done.returncode:
        log = folder / "log"
        pytest.fail(f"{command[0]} failed: {done.stderr}\n{log.read_text() if log.exists() else ''}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
