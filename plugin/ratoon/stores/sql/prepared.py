"""Statements of the paths that must be fast: compiled once, then executed by the driver itself.

SQLAlchemy looks every statement up by its structure before it runs it, copies its parameters through the types of the
columns and describes its result anew. That takes ten times as long as SQLite takes to find a row. What goes through
here must be of the types that the drivers know: integers, floats, text, bytes, None.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ClauseElement, Column, Connection, Select, bindparam
from sqlalchemy.exc import DBAPIError

K = TypeVar("K", bound=Hashable)
Values = Mapping[str, Any]

# Databases limit the variables of a statement: SQLite to 32,766, PostgreSQL to 65,535.
CHUNK = 1000


class Prepared:
    """A statement with named values, which takes part in the transaction of a connection.

    Args:
        make: Builds it for the database of a connection.
        columns: What an INSERT sets; all that the statement names where it is something else.
    """

    def __init__(self, make: Callable[[Connection], ClauseElement], columns: Sequence[str] | None = None) -> None:
        self._make = make
        self._columns = columns
        self._compiled: dict[str, tuple[str, list[str] | None]] = {}
        self._row: Any = None

    def rows(self, connection: Connection, values: Values) -> list[Any]:
        """What it finds: named tuples, in which a boolean of SQLite is an integer."""
        cursor, _ = self._execute(connection, values)
        found = cursor.fetchall()
        if self._row is None:
            self._row = namedtuple("Row", [column[0] for column in cursor.description], rename=True)  # type: ignore[misc]
        cursor.close()
        return [*map(self._row._make, found)]

    def first(self, connection: Connection, values: Values) -> Any:
        """The first row that it finds; None if there is none."""
        return next(iter(self.rows(connection, values)), None)

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Execute it for each row; returns how many rows of the table were written."""
        cursor, written = self._execute(connection, many=rows)
        cursor.close()
        return written

    def _execute(
        self, connection: Connection, one: Values | None = None, many: Sequence[Values] = ()
    ) -> tuple[Any, int]:
        text, order = self._compiled.get(connection.dialect.name) or self._compile(connection)
        if not connection.in_transaction():
            connection.begin()  # SQLAlchemy begins by itself only with statements that it executes
        cursor: Any = connection.connection.cursor()
        try:
            if one is not None:
                cursor.execute(text, one if order is None else [one[name] for name in order])
            else:
                cursor.executemany(text, many if order is None else [[row[name] for name in order] for row in many])
        except Exception as error:
            cursor.close()
            kind = connection.dialect.loaded_dbapi.Error
            raise DBAPIError.instance(text, None, error, kind, dialect=connection.dialect) from error
        return cursor, cursor.rowcount

    def _compile(self, connection: Connection) -> tuple[str, list[str] | None]:
        columns = None if self._columns is None else list(self._columns)
        compiled: Any = self._make(connection).compile(dialect=connection.dialect, column_keys=columns)
        order = list(compiled.positiontup) if compiled.positional else None
        self._compiled[connection.dialect.name] = found = str(compiled), order
        return found


class PreparedByOwner:
    """A query for the rows that belong to one or to several owners.

    Args:
        query: What is asked for; its first column is the owner.
        owner: The column that names the owner.
    """

    def __init__(self, query: Select[Any], owner: Column[Any]) -> None:
        self._one = Prepared(lambda _: query.where(owner == bindparam("owner")))
        self._some = query.where(owner.in_(bindparam("owners", expanding=True)))

    def rows(self, connection: Connection, owners: Sequence[K]) -> dict[K, list[Any]]:
        """The rows of each owner, asked for in portions."""
        if len(owners) == 1:
            return {owners[0]: self._one.rows(connection, {"owner": owners[0]})}
        found: dict[K, list[Any]] = {owner: [] for owner in owners}
        for begin in range(0, len(owners), CHUNK):
            for row in connection.execute(self._some, {"owners": owners[begin : begin + CHUNK]}):
                found[row[0]].append(row)
        return found
