"""Answers ``memory:`` and ``memory:<name>`` with stores that go with their process: for tests and for trying out.

They are the SQL stores on a database in a temporary folder, so that nothing behaves differently from what is kept. Two
stores of one name, the tracking store and the registry for example, share it.
"""

from __future__ import annotations

import functools
import re
import tempfile
from typing import TYPE_CHECKING

from ratoon.errors import InvalidInput
from ratoon.hookspecs import hookimpl

if TYPE_CHECKING:
    from ratoon.stores.protocol import Registry, TrackingStore
    from ratoon.stores.sql.database import Database

_NAME = re.compile(r"memory:(//)?[\w-]*")


@hookimpl
def open_tracking_store(uri: str) -> TrackingStore | None:
    """Open the tracking store of a name."""
    if not uri.startswith("memory:"):
        return None
    from ratoon.stores.sql.tracking import SqlTrackingStore

    return SqlTrackingStore(_database(uri)[1])


@hookimpl
def open_registry(uri: str) -> Registry | None:
    """Open the registry of a name."""
    if not uri.startswith("memory:"):
        return None
    from ratoon.stores.sql.registry import SqlRegistry

    return SqlRegistry(_database(uri)[1])


@functools.cache
def _database(uri: str) -> tuple[tempfile.TemporaryDirectory[str], Database]:
    """The database of a name, and the folder that goes when the process does."""
    from ratoon.stores.sql.database import Database

    if not _NAME.fullmatch(uri):
        raise InvalidInput(f"memory store '{uri}' has no allowed name; give memory: or memory:name")
    folder = tempfile.TemporaryDirectory(prefix="ratoon-memory-", ignore_cleanup_errors=True)
    return folder, Database(f"sqlite:///{folder.name}/ratoon.db")
