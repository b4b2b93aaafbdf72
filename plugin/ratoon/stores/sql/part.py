"""What the parts of the SQL store have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ratoon.stores.sql.database import Database

T = TypeVar("T")


class SqlPart:
    """A part of a store that keeps its rows in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def shares_commits(self) -> bool:
        """Whether it pays to write :meth:`together`: it does where one transaction waits for the other anyway."""
        return self._database.has_one_writer

    def together(self, works: Sequence[Callable[[], T]]) -> list[T | Exception]:
        """Call functions that write to this store, and make durable at once what they wrote.

        Args:
            works: What is called, in this thread, one after the other. Each writes all of its own or nothing. It is
                called a second time, alone, if the common transaction fails.

        Returns:
            For each function what it returned, or the error that it raised.
        """
        return self._database.together(works)
