"""Statements of the paths that must be fast: written once for both databases, executed by the driver itself.

SQLAlchemy takes ten times as long to execute a statement as SQLite takes to find a row, and its import takes longer
than a short script does: it is not imported here, nor by the modules that record. A statement is text with named values
(``:name``), in the words that SQLite and PostgreSQL share. What is given for them must be of the types that the drivers
know: integers, floats, text, bytes, None. The columns are those of :mod:`ratoon.stores.sql.tables`.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, TypeVar

from ratoon.stores.sql.connection import Connection, Dialect

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Values = Mapping[str, Any]

# Databases limit the variables of a statement: SQLite to 32,766, PostgreSQL to 65,535.
CHUNK = 1000

_NAME = re.compile(r":(\w+)")
# What stands for the keys of a portion, see PreparedForKeys.
_KEYS = "IN :keys"

# PostgreSQL's locks of a row that must not be changed meanwhile, or that is.
SHARE, CHANGE = "FOR SHARE", "FOR NO KEY UPDATE"


class Prepared:
    """A statement with named values, which takes part in the transaction of a connection.

    Args:
        text: The statement.
        lock: How PostgreSQL locks the rows that it finds; SQLite has one writer at a time.
    """

    def __init__(self, text: str, *, lock: str = "") -> None:
        self._text = text
        self._lock = lock
        self._texts: dict[Dialect, str] = {"sqlite": text}
        self._rows: dict[Dialect, Callable[[Sequence[Any]], Any]] = {}

    def text(self, dialect: Dialect) -> str:
        """The statement in the words of a database and of its driver."""
        found = self._texts.get(dialect)
        if found is None:
            found = self._texts[dialect] = _NAME.sub(r"%(\1)s", f"{self._text} {self._lock}".rstrip())
        return found

    def rows(self, connection: Connection, values: Values) -> list[Any]:
        """What it finds: named tuples, in which a boolean of SQLite is an integer."""
        cursor = connection.driver.execute(self.text(connection.dialect), values)
        found = cursor.fetchall()
        row = self._rows.get(connection.dialect)
        if row is None:
            kind: Any = namedtuple("Row", [column[0] for column in cursor.description], rename=True)  # type: ignore[misc]
            row = self._rows[connection.dialect] = kind._make
        cursor.close()
        return [*map(row, found)]

    def first(self, connection: Connection, values: Values) -> Any:
        """The first row that it finds; None if there is none."""
        return next(iter(self.rows(connection, values)), None)

    def run(self, connection: Connection, values: Values) -> int:
        """Execute it; returns how many rows of the table were written."""
        written: int = connection.driver.execute(self.text(connection.dialect), values).rowcount
        return written

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Execute it for each row; returns how many rows of the table were written."""
        cursor = connection.driver.cursor()
        cursor.executemany(self.text(connection.dialect), rows)
        written: int = cursor.rowcount
        cursor.close()
        return written


class PreparedForKeys:
    """A statement about one or several keys, executed in portions.

    Args:
        text: The statement, with ``IN :keys`` where a column is compared with them.
        width: How many values a key has; where it is more than one, so many columns in brackets are compared.
    """

    def __init__(self, text: str, *, width: int = 1) -> None:
        self._text = text
        self._width = width
        self._prepared: dict[int, tuple[Prepared, Sequence[str]]] = {}

    def rows(self, connection: Connection, keys: Sequence[object], values: Values | None = None) -> list[Any]:
        """What it finds for any of the keys; in the statement's order within each portion."""
        found: list[Any] = []
        for statement, given in self._portions(connection, keys):
            found += statement.rows(connection, {**given, **(values or {})})
        return found

    def run(self, connection: Connection, keys: Sequence[object], values: Values | None = None) -> None:
        """Execute it for all of the keys."""
        for statement, given in self._portions(connection, keys):
            statement.run(connection, {**given, **(values or {})})

    def _portions(self, connection: Connection, keys: Sequence[object]) -> Iterator[tuple[Prepared, dict[str, Any]]]:
        for portion in chunks(keys):
            size, values = self._sized(portion, as_array=connection.dialect == "postgresql")
            found = self._prepared.get(size)
            if found is None:
                found = self._prepared[size] = self._prepare(size)
            statement, names = found
            yield statement, dict(zip(names, values, strict=True))

    def _sized(self, portion: Sequence[Any], *, as_array: bool) -> tuple[int, Iterable[Any]]:
        """How many keys a statement is needed for, 0 if they are one array, and the values that it is given."""
        if as_array and self._width == 1 and len(portion) > 1:
            return 0, [list(portion)]
        # A key more than once does no harm, and there are few texts for SQLite to know.
        size = 1 << (len(portion) - 1).bit_length()
        padded = chain(portion, repeat(portion[-1], size - len(portion)))
        return size, padded if self._width == 1 else chain.from_iterable(padded)

    def _prepare(self, size: int) -> tuple[Prepared, Sequence[str]]:
        """The statement for so many keys, and the names of its values."""
        if size == 0:
            return Prepared(self._text.replace(_KEYS, "= ANY(:keys)")), ["keys"]
        names = [f"key_{number}" for number in range(size * self._width)]
        places = [f":{name}" for name in names]
        if self._width > 1:
            places = [f"({', '.join(places[at : at + self._width])})" for at in range(0, len(places), self._width)]
        listed = f"({'VALUES ' if self._width > 1 else ''}{', '.join(places)})"
        compared = f"= {places[0]}" if size == 1 else f"IN {listed}"
        return Prepared(self._text.replace(_KEYS, compared)), names


class PreparedByOwner:
    """A query for the rows that belong to one or to several owners.

    Args:
        text: What is asked for, with ``IN :keys`` behind the columns that name the owner, which it selects first.
        width: How many columns that are; the owner is a tuple where it is more than one.
    """

    def __init__(self, text: str, *, width: int = 1) -> None:
        self._query = PreparedForKeys(text, width=width)
        self._owner = itemgetter(0) if width == 1 else itemgetter(slice(width))

    def rows(self, connection: Connection, owners: Sequence[K]) -> dict[K, list[Any]]:
        """The rows of each owner, asked for in portions."""
        if len(owners) == 1:
            return {owners[0]: self._query.rows(connection, owners)}
        found: dict[K, list[Any]] = {owner: [] for owner in owners}
        for row in self._query.rows(connection, owners):
            found[self._owner(row)].append(row)
        return found


def insertion(table: str, columns: Iterable[str]) -> str:
    """An INSERT of one row, whose values bear the names of their columns."""
    names = list(columns)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"


def assignments(columns: Iterable[str], *, between: str = ", ") -> str:
    """Columns that are set to values of their names; joined by AND, it is columns that have these values."""
    return between.join(f"{name} = :{name}" for name in columns)


def chunks(keys: Sequence[V]) -> Iterator[Sequence[V]]:
    """Keys in portions that fit into a statement."""
    for begin in range(0, len(keys), CHUNK):
        yield keys[begin : begin + CHUNK]
