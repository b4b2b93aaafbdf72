from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from ratoon.manager import make_manager
from ratoon.stores.sql.database import Database, open_database
from ratoon.tracking.client import Client

# What the core needs of ratoon's own plugins: neither the command line nor the deploy targets.
PLUGINS = (
    "ratoon.stores.sql.plugin",
    "ratoon.artifacts.plugin",
    "ratoon.models.flavors.python_function",
    "ratoon.models.flavors.sklearn",
    "ratoon.registry.gates.metrics",
)

MakeClient = Callable[..., Client]
Databases = Callable[[], AbstractContextManager[Database]]
RunPython = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as the migrations make it; copied, because making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "ratoon.db"
    database = Database(f"sqlite:///{path}")
    with database.reading() as connection:
        connection.driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture
def uri(tmp_path: Path, empty_database: Path) -> str:
    """The URI of a database with nothing in it."""
    shutil.copyfile(empty_database, tmp_path / "ratoon.db")
    return f"sqlite:///{tmp_path / 'ratoon.db'}"


@pytest.fixture
def database(uri: str) -> Iterator[Database]:
    """A new database, closed after the test."""
    database = Database(uri)
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgresql_databases(postgresql_server: str) -> Databases:
    """Give new databases of PostgreSQL, each dropped behind the block; a copy takes less time than the migrations."""
    import psycopg

    template = f"ratoon_template_{uuid.uuid4().hex}"

    def execute(statement: str) -> None:
        with psycopg.connect(f"{postgresql_server}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def new() -> Iterator[Database]:
        name = f"ratoon_{uuid.uuid4().hex}"
        execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        database = Database(f"{postgresql_server}/{name}")
        yield database
        database.close()
        execute(f"DROP DATABASE {name} WITH (FORCE)")

    execute(f"CREATE DATABASE {template}")
    Database(f"{postgresql_server}/{template}").close()
    return new


@pytest.fixture
def postgresql_database(postgresql_databases: Databases) -> Iterator[Database]:
    """A new database of PostgreSQL."""
    with postgresql_databases() as database:
        yield database


@pytest.fixture
def make_client(uri: str) -> Iterator[MakeClient]:
    """Make clients of one new place of work, each with the plugins it is given."""
    made: list[Client] = []

    def make(*plugins: object, **given: str) -> Client:
        manager = make_manager(plugins, builtins=PLUGINS, installed=False)
        given = {"tracking_uri": uri, "user": "ada"} | given
        client = Client(manager=manager, **given)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
        open_database(client.settings.tracking_uri).close()


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    """A client of a new place of work."""
    return make_client()


@pytest.fixture
def run_python(tmp_path: Path) -> RunPython:
    """Run a script in an interpreter of its own, in the test's folder."""

    def run(script: str, *arguments: str, returncode: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(script), *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == returncode, done.stderr
        return done

    return run
