"""Answers ``sqlite:`` and ``postgresql:`` URIs with the SQL stores. Their modules are imported when one is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratoon.hookspecs import hookimpl

if TYPE_CHECKING:
    from ratoon.stores.protocol import Registry, TrackingStore

SCHEMES = ("sqlite:", "postgresql:", "postgresql+psycopg:", "postgres:")


@hookimpl
def open_tracking_store(uri: str) -> TrackingStore | None:
    """Open a database; SQLite's file and its folder are made if they are not there."""
    if not uri.startswith(SCHEMES):
        return None
    from ratoon.stores.sql.database import open_database
    from ratoon.stores.sql.tracking import SqlTrackingStore

    return SqlTrackingStore(open_database(uri))


@hookimpl
def open_registry(uri: str) -> Registry | None:
    """Open a database; SQLite's file and its folder are made if they are not there."""
    if not uri.startswith(SCHEMES):
        return None
    from ratoon.stores.sql.database import open_database
    from ratoon.stores.sql.registry import SqlRegistry

    return SqlRegistry(open_database(uri))
