"""A database of PostgreSQL: its connections are those of an engine of SQLAlchemy.

It runs in READ COMMITTED; what must not race is settled by row locks and unique constraints.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from sqlalchemy import Engine

from ratoon.errors import InvalidInput, MissingExtra
from ratoon.settings import without_password
from ratoon.stores.sql.connection import Connection, Dialect
from ratoon.stores.sql.explaining import explained

POOL_SIZE = 10
MOST_CONNECTIONS = 30


class PostgresqlDatabase:
    """Transactions on a database of a server.

    Raises:
        InvalidInput: The URI names no database.
        MissingExtra: The driver is not installed.
    """

    dialect: Dialect = "postgresql"

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._engine = _engine(uri)
        _engines.add(self._engine)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that changes nothing."""
        with explained(self._uri), self._engine.connect() as core:
            yield _over(core)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, and undone if it raises."""
        with explained(self._uri), self._engine.begin() as core:
            yield _over(core)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._engine.dispose()


def _over(core: sqlalchemy.Connection) -> Connection:
    return Connection("postgresql", core.connection.driver_connection, lambda _: core)


def _engine(uri: str) -> Engine:
    scheme, separator, rest = uri.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg") or not separator or not rest:
        shown = without_password(uri)
        raise InvalidInput(f"database '{shown}' is unknown; give sqlite:////absolute.db or postgresql://user@host/name")
    try:
        return sqlalchemy.create_engine(
            f"postgresql+psycopg://{rest}",
            pool_size=POOL_SIZE,
            max_overflow=MOST_CONNECTIONS - POOL_SIZE,
            pool_pre_ping=True,
        )
    except ImportError as error:
        raise MissingExtra("PostgreSQL", "postgresql", "psycopg") from error


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forget_connections() -> None:
    """A connection must not cross a fork: the child opens its own."""
    for engine in _engines:
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_connections)
