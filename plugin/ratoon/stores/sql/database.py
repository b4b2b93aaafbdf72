"""One database: its connections, its transactions, and whether its tables are the ones this version knows.

SQLite runs in WAL mode with ``synchronous=FULL``, and every writing transaction begins with ``BEGIN IMMEDIATE``: a
deferred one fails with "database is locked" as soon as two writers meet, whatever the timeout is. PostgreSQL runs in
READ COMMITTED; what must not race is settled by row locks and unique constraints.
"""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, SQLAlchemyError

from ratoon.errors import InvalidInput, MissingExtra, StoreError
from ratoon.settings import without_password

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
        with explained(uri):
            self._engine = _engine(uri)
            self._prepare(upgrade)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        with explained(self.uri), self._engine.connect().execution_options(begin="BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, and undone if it raises."""
        with explained(self.uri), self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections that nobody uses; the next transaction opens a new one."""
        self._engine.dispose()

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


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn what a driver raises into an error with a way out, without a word of SQL."""
    shown = without_password(uri)
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        if isinstance(error, DataError) or isinstance(
            getattr(error, "orig", None), (UnicodeEncodeError, OverflowError)
        ):
            raise _unfit(error) from error
        cause = " ".join(str(getattr(error, "orig", None) or error).split())
        message = f"database '{shown}' failed ({cause}); check that it is there, its owner and the free space"
        raise StoreError(message) from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise _unfit(error) from error


def _unfit(error: Exception) -> InvalidInput:
    cause = " ".join(str(getattr(error, "orig", None) or error).split())
    return InvalidInput(
        f"a value cannot be stored as it is ({cause}); leave out NUL, surrogates and numbers beyond 64 bits"
    )


def _engine(uri: str) -> Engine:
    return _sqlite_engine(uri) if uri.startswith("sqlite:") else _postgresql_engine(uri)


def _sqlite_engine(uri: str) -> Engine:
    path = uri.removeprefix("sqlite:///")
    if path == uri or not path or path == ":memory:":
        raise InvalidInput(f"database '{uri}' names no file; give sqlite:///relative.db or sqlite:////absolute.db")
    _make_folder(Path(path).parent)
    engine = sqlalchemy.create_engine(uri, connect_args={"timeout": 30.0}, pool_size=POOL_SIZE)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
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


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN IMMEDIATE"))


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
