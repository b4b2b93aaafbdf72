"""SQLAlchemy over a connection that it did not open, within a transaction that somebody else began and will end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import sqlalchemy
from sqlalchemy import Engine, PoolProxiedConnection
from sqlalchemy.pool import NullPool


class _Lent(PoolProxiedConnection):
    """The driver's connection in the form that SQLAlchemy knows it from its pool."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self.dbapi_connection: Any = driver
        self.driver_connection = driver
        self.info: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dbapi_connection, name)

    @property
    def is_valid(self) -> bool:
        return True

    @property
    def is_detached(self) -> bool:
        return False

    def close(self) -> None:
        """It stays open: it is not SQLAlchemy's."""


def lending_engine(connect: Callable[[], sqlite3.Connection]) -> Engine:
    """An engine for connections that are lent to it.

    Args:
        connect: Opens one, by which SQLAlchemy learns once what it works with.
    """
    engine = sqlalchemy.create_engine("sqlite://", creator=connect, poolclass=NullPool)
    engine.connect().close()
    return engine


def lend(engine: Engine, driver: sqlite3.Connection) -> sqlalchemy.Connection:
    """SQLAlchemy's connection over one within a transaction; it neither begins nor ends anything."""
    connection = sqlalchemy.Connection(engine, _Lent(driver))
    # It says nothing to the database. Alembic, which finds no transaction, would begin and commit one of its own.
    connection.begin()
    return connection
