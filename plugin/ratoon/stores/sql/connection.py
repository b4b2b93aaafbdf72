"""A transaction as its statements see it: the connection of the driver, and SQLAlchemy's over it for those who ask."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import sqlalchemy

Dialect = Literal["sqlite", "postgresql"]


class Connection:
    """A connection within a transaction. Whoever executes what, it is the same transaction.

    Args:
        dialect: The words of the database.
        driver: The connection of sqlite3 or psycopg.
        core: Makes SQLAlchemy's connection over the driver's; called once, when somebody asks for it.
    """

    __slots__ = ("_core", "_make_core", "dialect", "driver")

    def __init__(self, dialect: Dialect, driver: Any, core: Callable[[Any], sqlalchemy.Connection]) -> None:
        self.dialect = dialect
        self.driver = driver
        self._make_core = core
        self._core: sqlalchemy.Connection | None = None

    @property
    def core(self) -> sqlalchemy.Connection:
        """SQLAlchemy's connection; neither to be closed nor to be committed."""
        if self._core is None:
            self._core = self._make_core(self.driver)
        return self._core


class Transactions(Protocol):
    """How a database begins and ends transactions."""

    @property
    def dialect(self) -> Dialect:
        """The words of the database."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state of the database and changes nothing."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is durable when the block ends, and undone if it raises."""

    def close(self) -> None:
        """Close the connections that nobody uses."""
