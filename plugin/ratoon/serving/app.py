"""The scoring app: one loaded model behind MLflow's scoring protocol.

Errors have MLflow's shape, ``{"error_code", "message"}``, and hold neither the payload nor a traceback: what the caller
did wrong is 4xx, what the model did wrong is 500 and in the log. Only :mod:`ratoon.serving.server` and whoever embeds
the app imports this module: it needs the extra ``serve``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from ratoon.errors import InvalidInput, MissingExtra
from ratoon.serving import codecs
from ratoon.serving.bodies import UnreadableBody
from ratoon.serving.openapi import openapi_document
from ratoon.version import __version__

try:
    import anyio.to_thread
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route
except ImportError as error:
    raise MissingExtra("serving", "serve", "starlette") from error

if TYPE_CHECKING:
    from ratoon.entities import ModelVersion
    from ratoon.models.loading import LoadedModel

MAX_BODY = 100 * 2**20

# Names from MLflow's ErrorCode, which is all that its client understands.
ERROR_CODES = {404: "ENDPOINT_NOT_FOUND", 500: "INTERNAL_ERROR"}

logger = logging.getLogger(__name__)


def make_app(
    model: LoadedModel,
    *,
    model_uri: str,
    version: ModelVersion | None = None,
    example: object = None,
    max_body: int = MAX_BODY,
) -> Starlette:
    """Put a model behind HTTP.

    Args:
        model: What answers ``/invocations``.
        model_uri: The URI that was asked for, as ``/health`` reports it.
        version: The registered version behind it, None for a model that is not registered.
        example: A body that the model answers, for ``/openapi.json``.
        max_body: Largest body of a request in bytes; a larger one is refused while it comes in.
    """
    service = _Service(model, model_uri, version, example, max_body)
    routes = [
        Route("/invocations", service.invocations, methods=["POST"]),
        Route("/ping", service.ping),
        Route("/health", service.health),
        Route("/version", service.version),
        Route("/openapi.json", service.openapi),
    ]
    handlers: dict[Any, Any] = {
        InvalidInput: _refuse_input,
        HTTPException: _refuse_request,
        ClientDisconnect: _client_gone,
        Exception: _broken,
    }
    return Starlette(routes=routes, exception_handlers=handlers)


class _Service:
    """The endpoints and what they share."""

    def __init__(
        self, model: LoadedModel, model_uri: str, version: ModelVersion | None, example: object, max_body: int
    ) -> None:
        self._model = model
        self._model_uri = model_uri
        self._max_body = max_body
        name, number = (version.name, version.version) if version else (None, None)
        health = {"status": "ok", "model_uri": model_uri, "name": name, "version": number}
        self._health = msgspec.json.encode(health)
        self._openapi = msgspec.json.encode(
            openapi_document(model.signature, title=name or model_uri, version=number, example=example)
        )

    async def invocations(self, request: Request) -> Response:
        """Predict; decoding and encoding are the thread's work, too, so that a large body blocks nobody."""
        body = await self._read(request)
        content_type = request.headers.get("content-type")
        return _json(await anyio.to_thread.run_sync(self._score, body, content_type))

    async def ping(self, request: Request) -> Response:
        """Say that the server lives, as MLflow and SageMaker ask it."""
        return _json(b"\n")

    async def health(self, request: Request) -> Response:
        """Say which model is in service."""
        return _json(self._health)

    async def version(self, request: Request) -> Response:
        """Say which ratoon serves."""
        return PlainTextResponse(__version__)

    async def openapi(self, request: Request) -> Response:
        """Describe the endpoints, the model's inputs and outputs among them."""
        return _json(self._openapi)

    async def _read(self, request: Request) -> bytes:
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_body:
            raise self._too_large()
        body = bytearray()
        async for chunk in request.stream():
            if len(body) + len(chunk) > self._max_body:
                raise self._too_large()
            body += chunk
        return bytes(body)

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"The body is larger than {self._max_body} bytes; send fewer rows a request")

    def _score(self, body: bytes, content_type: str | None) -> bytes:
        asked = codecs.decode(body, content_type, self._model.signature)
        if asked.params and not (self._model.signature and self._model.signature.params):
            # Undeclared ones would become arguments of the library's predict, check_input=False for example.
            raise InvalidInput("The model declares no parameters; leave out params, or declare them in its signature")
        try:
            return codecs.encode(self._model.predict(asked.data, asked.params))
        except InvalidInput:
            raise
        except Exception as error:
            logger.exception("model %r failed on a request", self._model_uri)
            raise HTTPException(
                500, f"The model failed on this input ({type(error).__name__}); the server's log has the details"
            ) from error


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type=codecs.JSON)


def _error(status: int, code: str, message: str) -> Response:
    return _json(msgspec.json.encode({"error_code": code, "message": message}), status)


async def _refuse_input(request: Request, error: InvalidInput) -> Response:
    if isinstance(error, codecs.UnsupportedContentType):
        return _error(415, "BAD_REQUEST", str(error))
    if isinstance(error, UnreadableBody):
        return _error(400, "BAD_REQUEST", str(error))
    return _error(400, "INVALID_PARAMETER_VALUE", str(error))


async def _refuse_request(request: Request, error: HTTPException) -> Response:
    message = error.detail
    if error.status_code == 404:
        message = f"{request.method} {request.url.path} is not an endpoint; /openapi.json lists them"
    response = _error(error.status_code, ERROR_CODES.get(error.status_code, "BAD_REQUEST"), message)
    response.headers.update(error.headers or {})
    return response


async def _client_gone(request: Request, error: ClientDisconnect) -> Response:
    return _error(400, "BAD_REQUEST", "The client went away before the body was complete")


async def _broken(request: Request, error: Exception) -> Response:
    return _error(500, "INTERNAL_ERROR", "The server failed on this request; its log has the details")
