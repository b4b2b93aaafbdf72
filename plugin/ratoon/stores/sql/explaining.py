"""What a driver or SQLAlchemy raises, turned into errors that say what to do. Neither of them is imported for it."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import AbstractContextManager
from types import TracebackType

from ratoon.errors import InvalidInput, StoreError
from ratoon.settings import without_password

Kinds = tuple[type[BaseException], ...]


class explained(AbstractContextManager[None]):
    """Turn what a driver raises into an error with a way out, without a word of SQL."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Raise what explains an error."""
        if error is not None:
            explain(self._uri, error)


def explain(uri: str, error: BaseException) -> None:
    """Raise what explains an error of a driver; do nothing if it is another one."""
    # SQLAlchemy wraps what the driver raised.
    origin: BaseException = getattr(error, "orig", None) or error
    unfit: Kinds = (UnicodeEncodeError, OverflowError, sqlite3.DataError, *_imported("psycopg", "DataError"))
    if isinstance(origin, unfit):
        raise InvalidInput(
            f"a value cannot be stored as it is ({_in_one_line(origin)}); leave out NUL, surrogates and numbers beyond"
            " 64 bits"
        ) from error
    failed: Kinds = (
        OSError,
        sqlite3.Error,
        *_imported("psycopg", "Error"),
        *_imported("sqlalchemy.exc", "SQLAlchemyError"),
    )
    if isinstance(error, failed):
        shown, cause = without_password(uri), _in_one_line(origin)
        message = f"database '{shown}' failed ({cause}); check that it is there, its owner and the free space"
        raise StoreError(message) from error


def _imported(module: str, name: str) -> Kinds:
    """An error of a module; nothing if the module was never imported: then it has raised nothing."""
    found: type[BaseException] | None = getattr(sys.modules.get(module), name, None)
    return () if found is None else (found,)


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
