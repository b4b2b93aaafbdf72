"""One database: its connections, its transactions, and whether its tables are the ones this version knows.

SQLite runs in WAL mode with ``synchronous=FULL``, and every writing transaction begins with ``BEGIN IMMEDIATE``: a
deferred one fails with "database is locked" as soon as two writers meet, whatever the timeout is. PostgreSQL runs in
READ COMMITTED; what must not race is settled by row locks and unique constraints.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.dialects import postgresql, sqlite

from ratoon.errors import InvalidInput, MissingExtra, StoreError
from ratoon.settings import without_password
from ratoon.stores.sql.explaining import explained
from ratoon.stores.sql.transactions import LOCK_SECONDS, Part, begin, driver_of

T = TypeVar("T")

# The newest migration, named here so that Alembic is imported only when there is one to run; a test compares the two.
SCHEMA = "0001"

POOL_SIZE = 10
MOST_CONNECTIONS = 30

_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number will do, as long as every ratoon takes the same.
_MIGRATION_LOCK = 7_264_666


@functools.cache
def open_database(uri: str) -> Database:
    """Open a database once for each process; stores that share a URI share its connections."""
    return Database(uri)


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ``ON CONFLICT``, in the words of the connection's database."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def schema_of(uri: str) -> str | None:
    """The schema of a database's tables, whatever it is; None if it has none."""
    engine = _engine(uri)
    try:
        with explained(uri), engine.connect() as connection:
            return _schema_of(connection)
    finally:
        engine.dispose()


class Database:
    """Transactions on one database.

    Args:
        uri: ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://user@host/name``.
        upgrade: Whether tables of an older version are brought up to this one; they are refused otherwise.

    Raises:
        StoreError: It cannot be opened, or another version of ratoon made its tables.
        InvalidInput: The URI names no database.
        MissingExtra: The driver is not installed.
    """

    def __init__(self, uri: str, *, upgrade: bool = False) -> None:
        self.uri = uri
        self._shared = _Shared()
        with explained(uri):
            self._engine = _engine(uri)
            self._prepare(upgrade)

    @property
    def has_one_writer(self) -> bool:
        """Whether one writing transaction keeps all others waiting."""
        return self._engine.dialect.name == "sqlite"

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        shared = self._shared.connection
        return self._snapshot() if shared is None else nullcontext(shared)

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is durable when the block ends, and undone if it raises.

        It is a part of a larger one in what is called by :meth:`together`.
        """
        shared = self._shared.connection
        return self._transaction() if shared is None else Part(self.uri, shared)

    def together(self, works: Sequence[Callable[[], T]]) -> list[T | Exception]:
        """Call functions one after the other, in one transaction of which each undoes its own part if it raises.

        What they return or raise is answered when the transaction is durable. If it fails, each is called once more,
        in a transaction of its own: nobody is told of an error that another one caused.
        """
        if len(works) == 1:
            return [_attempt(work) for work in works]
        outcomes: list[T | Exception] = []
        try:
            with self.writing() as connection:
                self._shared.connection = connection
                try:
                    for work in works:
                        outcomes.append(_attempt(work))
                        if not driver_of(connection).in_transaction:
                            raise StoreError(f"database '{without_password(self.uri)}' undid a transaction; try again")
                finally:
                    self._shared.connection = None
        except StoreError as error:
            return [_attempt(work) for work in works] if outcomes else [error] * len(works)
        return outcomes

    def close(self) -> None:
        """Close the connections that nobody uses; the next transaction opens a new one."""
        self._engine.dispose()

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        with explained(self.uri), self._engine.connect().execution_options(begin="BEGIN") as connection:
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with explained(self.uri), self._engine.begin() as connection:
            yield connection

    def _prepare(self, upgrade: bool) -> None:
        """Make the tables where there are none; refuse those of another version."""
        with self.reading() as connection:
            found = _schema_of(connection)
        if found is None or (upgrade and found != SCHEMA):
            with self.writing() as connection:
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
                # Somebody else may have made them between the two transactions.
                found = _schema_of(connection)
                if found is None or found < SCHEMA:
                    found = _migrate(connection)
        if found != SCHEMA:
            way_out = "run 'ratoon db upgrade'" if found < SCHEMA else "upgrade ratoon, or name another database"
            shown = without_password(self.uri)
            raise StoreError(f"database '{shown}' has the schema {found}, this ratoon needs {SCHEMA}; {way_out}")


class _Shared(threading.local):
    """The transaction in which a thread does several things at once; None elsewhere."""

    connection: Connection | None = None


def _attempt(work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as error:
        return error


def _engine(uri: str) -> Engine:
    return _sqlite_engine(uri) if uri.startswith("sqlite:") else _postgresql_engine(uri)


def _sqlite_engine(uri: str) -> Engine:
    path = uri.removeprefix("sqlite:///")
    if path == uri or not path or path == ":memory:":
        raise InvalidInput(f"database '{uri}' names no file; give sqlite:///relative.db or sqlite:////absolute.db")
    _make_folder(Path(path).parent)
    engine = sqlalchemy.create_engine(uri, connect_args={"timeout": float(LOCK_SECONDS)}, pool_size=POOL_SIZE)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", begin)
    _engines.add(engine)
    return engine


def _postgresql_engine(uri: str) -> Engine:
    scheme, separator, rest = uri.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg") or not separator or not rest:
        shown = without_password(uri)
        raise InvalidInput(f"database '{shown}' is unknown; give sqlite:////absolute.db or postgresql://user@host/name")
    try:
        engine = sqlalchemy.create_engine(
            f"postgresql+psycopg://{rest}",
            pool_size=POOL_SIZE,
            max_overflow=MOST_CONNECTIONS - POOL_SIZE,
            pool_pre_ping=True,
        )
    except ImportError as error:
        raise MissingExtra("PostgreSQL", "postgresql", "psycopg") from error
    _engines.add(engine)
    return engine


def _make_folder(folder: Path) -> None:
    """Make the folder; ratoon's own hides itself from git, so that no project's status changes."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if folder.name == ".ratoon":
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: it would begin deferred ones.
    connection.isolation_level = None
    cursor = connection.cursor()
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _schema_of(connection: Connection) -> str | None:
    if not sqlalchemy.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def _migrate(connection: Connection) -> str:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return SCHEMA


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forget_connections() -> None:
    """A connection must not cross a fork: the child opens its own."""
    for engine in _engines:
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_connections)
