"""Answers ``http:`` and ``https:`` URIs with the stores behind a server. httpx is imported when one is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratoon.hookspecs import hookimpl

if TYPE_CHECKING:
    from ratoon.stores.protocol import Registry, TrackingStore

SCHEMES = ("http://", "https://")


@hookimpl
def open_tracking_store(uri: str) -> TrackingStore | None:
    """Speak to ratoon's server, or to MLflow's own."""
    if not uri.startswith(SCHEMES):
        return None
    from ratoon.remote.connection import Connection
    from ratoon.stores.rest.tracking import RestTrackingStore

    return RestTrackingStore(Connection(uri))


@hookimpl
def open_registry(uri: str) -> Registry | None:
    """Speak to ratoon's server, or to MLflow's own."""
    if not uri.startswith(SCHEMES):
        return None
    from ratoon.remote.connection import Connection
    from ratoon.stores.rest.registry import RestRegistry

    return RestRegistry(Connection(uri))
