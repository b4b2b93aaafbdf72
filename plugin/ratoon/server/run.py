"""Running the server in this process until it is told to stop.

The port is taken and the stores are opened before anything is answered, so that a mistake in either is one line.
uvicorn and the application are imported on use: they belong to the extra ``server``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from ratoon.listening import check_loopback, listen, require_uvicorn, run_until_told, url_of
from ratoon.settings import without_password

if TYPE_CHECKING:
    from ratoon.tracking.client import Client

# Longer than clients rest between two metrics: a connection that ends while they send costs them a retry.
KEEP_ALIVE_SECONDS = 120

logger = logging.getLogger(__name__)


def run_server(
    client: Client,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    allow_remote: bool = False,
    allowed_hosts: Collection[str] = (),
) -> None:
    """Answer requests until SIGTERM or SIGINT; requests in flight are finished first.

    Args:
        client: What keeps runs, files and models.
        host: Address to listen on.
        port: Port to listen on, 0 for one that is free.
        allow_remote: Listen where other machines reach it, although there are no accounts: everybody may do anything.
        allowed_hosts: Names of this server that requests may come by, beside those of the loopback; ``*`` for any.

    Raises:
        InvalidInput: The host is not loopback and that was not allowed, or the port cannot be had.
        MissingExtra: uvicorn or starlette are not installed.
        StoreError: A store cannot be opened.
    """
    require_uvicorn("the server", "server")
    from ratoon.server.app import make_app

    if not allow_remote:
        check_loopback(host, "listen on 127.0.0.1 behind a proxy that authenticates, or allow it with --allow-remote")
    with listen(host, port) as listener:
        # Opened here, so that what is wrong with one is said now.
        _ = client.tracking, client.registry, client.artifacts
        app = make_app(client, allowed_hosts={*allowed_hosts, host})
        shown = without_password(client.settings.tracking_uri)
        ready = f"ratoon server on {url_of(listener)} keeps {shown}"
        run_until_told(app, listener, lambda: logger.info("%s", ready), keep_alive=KEEP_ALIVE_SECONDS)
