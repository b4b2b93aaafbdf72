"""One database: its transactions, and whether its tables are the ones this version knows.

What records a run into a database of SQLite that is there needs nothing but sqlite3. SQLAlchemy is imported by what
searches, by the registry and by the migrations, when they are called, and for PostgreSQL.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

from ratoon.errors import StoreError
from ratoon.settings import without_password
from ratoon.stores.sql.connection import Connection, Transactions
from ratoon.stores.sql.explaining import explained
from ratoon.stores.sql.prepared import Prepared
from ratoon.stores.sql.sqlite import SqliteFile
from ratoon.stores.sql.transactions import Part

T = TypeVar("T")

# The newest migration, named here so that Alembic is imported only when there is one to run; a test compares the two.
SCHEMA = "0001"

_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number will do, as long as every ratoon takes the same.
_MIGRATION_LOCK = 7_264_666
_HAS_TABLES = {
    "sqlite": Prepared("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"),
    "postgresql": Prepared("SELECT relname FROM pg_class WHERE oid = to_regclass('alembic_version')"),
}
_SCHEMA_OF_TABLES = Prepared("SELECT version_num FROM alembic_version")


@functools.cache
def open_database(uri: str) -> Database:
    """Open a database once for each process; stores that share a URI share its connections."""
    return Database(uri)


def schema_of(uri: str) -> str | None:
    """The schema of a database's tables, whatever it is; None if it has none."""
    with explained(uri):
        transactions = _transactions(uri)
        try:
            with transactions.reading() as connection:
                return _schema_of(connection)
        finally:
            transactions.close()


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
            self._transactions = _transactions(uri)
            self._prepare(upgrade)

    @property
    def has_one_writer(self) -> bool:
        """Whether one writing transaction keeps all others waiting."""
        return self._transactions.dialect == "sqlite"

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        shared = self._shared.connection
        return self._transactions.reading() if shared is None else nullcontext(shared)

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is durable when the block ends, and undone if it raises.

        It is a part of a larger one in what is called by :meth:`together`.
        """
        shared = self._shared.connection
        return self._transactions.writing() if shared is None else Part(self.uri, shared)

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
                        if not connection.driver.in_transaction:
                            raise StoreError(f"database '{without_password(self.uri)}' undid a transaction; try again")
                finally:
                    self._shared.connection = None
        except StoreError as error:
            return [_attempt(work) for work in works] if outcomes else [error] * len(works)
        return outcomes

    def close(self) -> None:
        """Close the connections that nobody uses; the next transaction opens a new one."""
        self._transactions.close()

    def _prepare(self, upgrade: bool) -> None:
        """Make the tables where there are none; refuse those of another version."""
        with self.reading() as connection:
            found = _schema_of(connection)
        if found is None or (upgrade and found != SCHEMA):
            with self.writing() as connection:
                if connection.dialect == "postgresql":
                    connection.driver.execute(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
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


def _transactions(uri: str) -> Transactions:
    if uri.startswith("sqlite:"):
        return SqliteFile(uri)
    from ratoon.stores.sql.postgresql import PostgresqlDatabase

    return PostgresqlDatabase(uri)


def _schema_of(connection: Connection) -> str | None:
    if not _HAS_TABLES[connection.dialect].rows(connection, {}):
        return None
    row = _SCHEMA_OF_TABLES.first(connection, {})
    return None if row is None else str(row.version_num)


def _migrate(connection: Connection) -> str:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection.core
    command.upgrade(config, "head")
    return SCHEMA
