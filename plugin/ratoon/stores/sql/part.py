"""What the parts of the SQL store have in common."""

from __future__ import annotations

from ratoon.stores.sql.database import Database


class SqlPart:
    """A part of a store that keeps its rows in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
