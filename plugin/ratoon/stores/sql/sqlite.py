"""A file of SQLite: its connections, and its transactions. SQLAlchemy is imported when a statement of it is executed.

It is in WAL mode with ``synchronous=FULL``, and every writing transaction begins with ``BEGIN IMMEDIATE``: a deferred
one fails with "database is locked" as soon as two writers meet, whatever the timeout is.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput
from ratoon.stores.sql.connection import Connection, Dialect
from ratoon.stores.sql.explaining import explained
from ratoon.stores.sql.transactions import LOCK_SECONDS, begin_reading, begin_writing

if TYPE_CHECKING:
    import sqlalchemy

# So many connections are kept open for the next transactions.
MOST_IDLE = 10


class SqliteFile:
    """Transactions on a file; it and its folder are made if they are not there.

    Raises:
        InvalidInput: The URI names no file.
    """

    dialect: Dialect = "sqlite"

    def __init__(self, uri: str) -> None:
        path = uri.removeprefix("sqlite:///")
        if path == uri or not path or path == ":memory:":
            raise InvalidInput(f"database '{uri}' names no file; give sqlite:///relative.db or sqlite:////absolute.db")
        _make_folder(Path(path).parent)
        self._uri = uri
        self._path = os.path.abspath(path)
        self._idle: list[sqlite3.Connection] = []
        _files.add(self)

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that sees one state of the file and changes nothing."""
        return self._transaction(begin_reading, "ROLLBACK")

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction that is durable when the block ends, and undone if it raises."""
        return self._transaction(begin_writing, "COMMIT")

    def close(self) -> None:
        """Close the connections that nobody uses; those in use are closed when they are given back."""
        idle, self._idle = self._idle, []
        for driver in idle:
            driver.close()

    def leave(self) -> None:
        """Never touch a connection again that belongs to the process which this one was forked from."""
        _inherited.append(self._idle)
        self._idle = []

    @contextmanager
    def _transaction(self, begin: Callable[[sqlite3.Connection], None], end: str) -> Iterator[Connection]:
        with explained(self._uri):
            idle, process = self._idle, os.getpid()
            driver = self._take(idle)
            try:
                begin(driver)
                yield Connection("sqlite", driver, self._core)
                driver.execute(end)
            except BaseException:
                if driver.in_transaction:
                    driver.execute("ROLLBACK")
                raise
            finally:
                self._give_back(driver, idle, process)

    def _take(self, idle: list[sqlite3.Connection]) -> sqlite3.Connection:
        try:
            return idle.pop()
        except IndexError:
            return _open(self._path)

    def _give_back(self, driver: sqlite3.Connection, idle: list[sqlite3.Connection], process: int) -> None:
        if process != os.getpid():
            _inherited.append([driver])
        elif idle is self._idle and len(idle) < MOST_IDLE and not driver.in_transaction:
            idle.append(driver)
        else:
            driver.close()

    def _core(self, driver: Any) -> sqlalchemy.Connection:
        from ratoon.stores.sql.lending import lend

        return lend(self._engine, driver)

    @functools.cached_property
    def _engine(self) -> sqlalchemy.Engine:
        from ratoon.stores.sql.lending import lending_engine

        return lending_engine(lambda: _open(self._path))


def _make_folder(folder: Path) -> None:
    """Make the folder; ratoon's own hides itself from git, so that no project's status changes."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if folder.name == ".ratoon":
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def _open(path: str) -> sqlite3.Connection:
    # The driver must not begin transactions by itself: it would begin deferred ones. Threads use one after the other.
    driver = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            driver.execute(f"PRAGMA {setting}")
    except BaseException:
        driver.close()
        raise
    return driver


_files: weakref.WeakSet[SqliteFile] = weakref.WeakSet()
# To close one would take the locks away from the process that it belongs to, and so would its end as garbage.
_inherited: list[list[sqlite3.Connection]] = []


def _leave_connections() -> None:
    """A connection must not cross a fork: the child opens its own."""
    for file in _files:
        file.leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_connections)
