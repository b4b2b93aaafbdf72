"""Serving one model from this process until it is told to stop.

The port is taken before the model is loaded, so that a mistake in it costs no waiting, and requests that come while the
model loads are answered afterwards. uvicorn and the app are imported on use: they belong to the extra ``serve``.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ratoon.errors import RatoonError
from ratoon.listening import check_loopback, listen, require_uvicorn, run_until_told, url_of
from ratoon.models.loading import load_folder
from ratoon.models.mlmodel import data_file
from ratoon.tracking.models import download_model, resolve_version, trust_for

if TYPE_CHECKING:
    from ratoon.models.loading import LoadedModel
    from ratoon.models.trust import Trust
    from ratoon.tracking.client import Client

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
    require_uvicorn("serving", "serve")
    from ratoon.serving.app import make_app

    if not allow_remote:
        check_loopback(host, "serve on 127.0.0.1 behind a proxy that authenticates, or allow it with allow_remote")
    with listen(host, port) as listener:
        version = resolve_version(client, model_uri)
        # The alias may move between the two calls: what is loaded must be the version that is reported.
        exact = f"models:/{version.name}/{version.version}" if version else model_uri
        model, example = _load(exact, client, trust_for(client, exact, trust))
        app = make_app(model, model_uri=model_uri, version=version, example=example)
        of_version = f" (version {version.version})" if version else ""
        ready = f"serving {model_uri}{of_version} on {url_of(listener)}"
        run_until_told(app, listener, lambda: logger.info("%s", ready))


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
