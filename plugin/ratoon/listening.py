"""Taking a port of this machine, and answering on it until a signal says to stop.

uvicorn is imported on use: it belongs to the extras ``serve`` and ``server``.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ratoon.errors import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from starlette.applications import Starlette

# Seconds that requests in flight get after SIGTERM; container platforms kill after 30 by default.
DRAIN_SECONDS = 25
KEEP_ALIVE_SECONDS = 5
BACKLOG = 2048


def require_uvicorn(thing: str, extra: str) -> None:
    """Say before anything is done that what answers requests is not installed.

    Raises:
        MissingExtra: It names the extra that ``thing`` belongs to.
    """
    try:
        importlib.import_module("uvicorn")
    except ImportError as error:
        raise MissingExtra(thing, extra, "uvicorn") from error


def check_loopback(host: str, way_out: str) -> None:
    """Refuse an address that other machines reach; ``way_out`` says what to do about it."""
    if host == "localhost":
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    raise InvalidInput(
        f"host {host!r} is refused (other machines may reach it and nobody is asked who they are); {way_out}"
    )


def listen(host: str, port: int) -> socket.socket:
    """Take a port for good: with SO_REUSEADDR two processes may bind it as long as neither listens.

    Raises:
        InvalidInput: It cannot be had; the message says why.
    """
    if not 0 <= port <= 65535:  # getaddrinfo would silently take the lower 16 bits
        raise InvalidInput(f"port {port} is not possible; give one from 1 to 65535, or 0 for one that is free")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise InvalidInput(_cannot_listen(host, port, error)) from error


def url_of(listener: socket.socket) -> str:
    """The URL by which this machine reaches a port that was taken."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run_until_told(
    app: Starlette, listener: socket.socket, on_ready: Callable[[], None], *, keep_alive: int = KEEP_ALIVE_SECONDS
) -> None:
    """Answer until SIGTERM or SIGINT, finish what is in flight, and return.

    Args:
        app: What answers.
        listener: The port that was taken.
        on_ready: Called once the first request can be answered.
        keep_alive: Seconds for which a connection may rest between two requests.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        access_log=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=keep_alive,
        ws="none",
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

    with _return_after_drain():
        Server(config).run(sockets=[listener])


@contextlib.contextmanager
def _return_after_drain() -> Iterator[None]:
    """Survive the signal that uvicorn raises once more when it has drained."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use by another process; choose another, or 0 for one that is free"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} is reserved for the system; choose one from 1024 upwards"
    return f"host {host!r} cannot be listened on ({error}); give an address of this machine"
