"""What a driver raises, turned into errors that say what to do."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from types import TracebackType

from sqlalchemy.exc import DataError, SQLAlchemyError

from ratoon.errors import InvalidInput, StoreError
from ratoon.settings import without_password


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
    if isinstance(error, DataError) or isinstance(getattr(error, "orig", error), (UnicodeEncodeError, OverflowError)):
        raise _unfit(error) from error
    if isinstance(error, (SQLAlchemyError, OSError, sqlite3.Error)):
        cause = " ".join(str(getattr(error, "orig", None) or error).split())
        shown = without_password(uri)
        message = f"database '{shown}' failed ({cause}); check that it is there, its owner and the free space"
        raise StoreError(message) from error


def _unfit(error: BaseException) -> InvalidInput:
    cause = " ".join(str(getattr(error, "orig", None) or error).split())
    return InvalidInput(
        f"a value cannot be stored as it is ({cause}); leave out NUL, surrogates and numbers beyond 64 bits"
    )
