"""Serving one model from this process until it is told to stop.

The port is taken before the model is loaded, so that a mistake in it costs no waiting, and requests that come while the
model loads are answered afterwards. uvicorn and the app are imported on use: they belong to the extra ``serve``.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ratoon.errors import InvalidInput, MissingExtra, RatoonError
from ratoon.models.loading import load_folder
from ratoon.models.mlmodel import data_file
from ratoon.tracking.models import download_model, resolve_version

if TYPE_CHECKING:
    import uvicorn

    from ratoon.entities import ModelVersion
    from ratoon.models.loading import LoadedModel
    from ratoon.models.trust import Trust
    from ratoon.tracking.client import Client

# Seconds that requests in flight get after SIGTERM; container platforms kill after 30 by default.
DRAIN_SECONDS = 25
BACKLOG = 2048

logger = logging.getLogger(__name__)


def serve(
    model_uri: str,
    *,
    client: Client,
    host: str = "127.0.0.1",
    port: int = 0,
    trust: Trust = None,
    allow_remote: bool = False,
) -> None:
    """Load a model and answer requests until SIGTERM or SIGINT; requests in flight are finished first.

    Args:
        model_uri: What to serve. An alias is followed once, at the start.
        client: Where the model is found.
        host: Address to listen on.
        port: Port to listen on, 0 for one that is free.
        trust: What loading may run, as in ``load_model``.
        allow_remote: Listen where other machines reach it, although nobody is asked who they are.

    Raises:
        InvalidInput: The host is not loopback and that was not allowed, or the port cannot be had.
        MissingExtra: uvicorn or starlette are not installed.
        NotFound: There is no such model.
        Untrusted: Loading the model would run code that ``trust`` does not cover.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise MissingExtra("serving", "serve", "uvicorn") from error
    from ratoon.serving.app import make_app

    _check_host(host, allow_remote)
    with _listen(host, port) as listener:
        version = resolve_version(client, model_uri)
        # The alias may move between the two calls: what is loaded must be the version that is reported.
        exact = f"models:/{version.name}/{version.version}" if version else model_uri
        model, example = _load(exact, client, trust)
        config = uvicorn.Config(
            make_app(model, model_uri=model_uri, version=version, example=example),
            access_log=False,
            lifespan="off",
            log_config=None,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            ws="none",
        )
        _run(config, listener, lambda: logger.info("%s", _ready_line(model_uri, version, listener)))


def _load(uri: str, client: Client, trust: Trust) -> tuple[LoadedModel, object]:
    """The model, and the body that its folder holds as an example; None if it holds none.

    Done here rather than by ``load_model`` because the example is gone with the folder.
    """
    with tempfile.TemporaryDirectory(prefix="ratoon-model-") as scratch:
        folder = download_model(client, uri, Path(scratch)) if ":/" in uri else Path(uri)
        model = load_folder(folder, manager=client.manager, trust=trust)
        info = model.info.saved_input_example_info or {}
        if not info.get("serving_input_path"):
            return model, None
        try:
            return model, msgspec.json.decode(data_file(folder, info["serving_input_path"]).read_bytes())
        except (RatoonError, msgspec.DecodeError, OSError) as error:
            logger.warning("input example of %s is left out (%s)", uri, error)
            return model, None


def _run(config: uvicorn.Config, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready()

    with _return_after_drain():
        Server(config).run(sockets=[listener])


@contextlib.contextmanager
def _return_after_drain() -> Iterator[None]:
    """Let :func:`serve` return after a signal, which uvicorn raises once more when it has drained."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ready_line(model_uri: str, version: ModelVersion | None, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    of_version = f" (version {version.version})" if version else ""
    return f"serving {model_uri}{of_version} on http://{f'[{host}]' if ':' in host else host}:{port}"


def _check_host(host: str, allow_remote: bool) -> None:
    if allow_remote or host == "localhost":
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    raise InvalidInput(
        f"host {host!r} is refused (other machines may reach it and serving has no authentication yet); "
        "serve on 127.0.0.1 behind a proxy that authenticates, or allow it explicitly with allow_remote"
    )


def _listen(host: str, port: int) -> socket.socket:
    """Take the port for good: with SO_REUSEADDR two processes may bind it as long as neither listens."""
    if not 0 <= port <= 65535:  # getaddrinfo would silently take the lower 16 bits
        raise InvalidInput(f"port {port} is not possible; give one from 1 to 65535, or 0 for one that is free")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise InvalidInput(_cannot_listen(host, port, error)) from error


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use by another process; choose another, or 0 for one that is free"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} is reserved for the system; choose one from 1024 upwards"
    return f"host {host!r} cannot be listened on ({error}); give an address of this machine"
