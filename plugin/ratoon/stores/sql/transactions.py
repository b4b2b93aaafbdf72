"""Transactions of SQLite: how one begins among many writers, and how it is divided into parts."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import AbstractContextManager
from types import TracebackType

from ratoon.stores.sql.connection import Connection
from ratoon.stores.sql.explaining import explain, explained

# How long a writer waits for the others at most, and how long it rests between two looks, at first and at most.
LOCK_SECONDS = 30
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.01


def begin_reading(driver: sqlite3.Connection) -> None:
    """Begin a transaction that waits for nobody."""
    driver.execute("BEGIN")


def begin_writing(driver: sqlite3.Connection) -> None:
    """Begin a transaction as soon as nobody else writes."""
    driver.execute("PRAGMA busy_timeout=0")
    try:
        _begin(driver)
    finally:
        driver.execute(f"PRAGMA busy_timeout={1000 * LOCK_SECONDS}")


def _begin(driver: sqlite3.Connection) -> None:
    """Look again and again whether somebody else writes.

    SQLite itself would look every 100 ms only. Who writes one transaction behind the other, as a server does, leaves
    gaps of a millisecond between them: it would take many seconds to meet one.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    pause = FIRST_PAUSE
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(pause * random.random())
        pause = min(2 * pause, LONGEST_PAUSE)


class Part(AbstractContextManager[Connection]):
    """A part of a transaction of SQLite, undone if it raises."""

    def __init__(self, uri: str, connection: Connection) -> None:
        self._uri = uri
        self._connection = connection
        self._driver: sqlite3.Connection = connection.driver

    def __enter__(self) -> Connection:
        with explained(self._uri):
            self._driver.execute("SAVEPOINT part")
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with explained(self._uri):
            if error is None:
                self._driver.execute("RELEASE part")
            elif self._driver.in_transaction:  # a full disk has undone it, and every part with it
                self._driver.execute("ROLLBACK TO part")
                self._driver.execute("RELEASE part")
        if error is not None:
            explain(self._uri, error)
