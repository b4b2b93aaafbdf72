"""One database: its connections, its transactions, and whether its tables are the ones this version knows.

SQLite runs in WAL mode with ``synchronous=FULL``, and every writing transaction begins with ``BEGIN IMMEDIATE``: a
deferred one fails with "database is locked" as soon as two writers meet, whatever the timeout is.
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
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError

from ratoon.errors import InvalidInput, StoreError

# The newest migration, named here so that Alembic is imported only when there is one to run; a test compares the two.
SCHEMA = "0001"

_MIGRATIONS = Path(__file__).parent / "migrations"


@functools.cache
def open_database(uri: str) -> Database:
    """Open a database once for each process; stores that share a URI share its connections."""
    return Database(uri)


class Database:
    """Transactions on one database.

    Raises:
        StoreError: The file cannot be opened, or a newer ratoon made its tables.
        InvalidInput: The URI names no file.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        path = uri.removeprefix("sqlite:///")
        if path == uri or not path or path == ":memory:":
            raise InvalidInput(f"database '{uri}' names no file; give sqlite:///relative.db or sqlite:////absolute.db")
        with self._explained():
            _make_folder(Path(path).parent)
            self._engine = _engine(uri)
            self._prepare()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        with self._explained(), self._engine.connect().execution_options(begin="BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, and undone if it raises."""
        with self._explained(), self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections that nobody uses; the next transaction opens a new one."""
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(
                f"database '{self.uri}' failed ({cause}); check the path, its owner and the free space"
            ) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise InvalidInput(
                f"database '{self.uri}' cannot hold a value ({error}); leave out surrogates and numbers beyond 64 bits"
            ) from error

    def _prepare(self) -> None:
        """Make the tables where there are none; refuse those of another version."""
        with self.reading() as connection:
            found = _schema_of(connection)
        if found is None:
            with self.writing() as connection:
                # Somebody else may have made them between the two transactions.
                found = _schema_of(connection) or _migrate(connection)
        if found != SCHEMA:
            raise StoreError(
                f"database '{self.uri}' has the schema {found}, this ratoon knows {SCHEMA}; upgrade ratoon, or name"
                " another database in RATOON_TRACKING_URI"
            )


def _make_folder(folder: Path) -> None:
    """Make the folder; ratoon's own hides itself from git, so that no project's status changes."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if folder.name == ".ratoon":
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def _engine(uri: str) -> Engine:
    engine = sqlalchemy.create_engine(uri, connect_args={"timeout": 30.0})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    _engines.add(engine)
    return engine


def _configure(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: it would begin deferred ones.
    connection.isolation_level = None
    cursor = connection.cursor()
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin(connection: Connection) -> None:
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
    """A connection of SQLite must not cross a fork: the child opens its own."""
    for engine in _engines:
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_connections)
