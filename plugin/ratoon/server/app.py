"""The application: every route of the table, behind the same guards, with the same answers to errors.

A handler runs in a thread with the decoded message and the client's stores; so do decoding, encoding and compression.
Only :mod:`ratoon.server.run` and whoever embeds the application imports this module: it needs the extra ``server``.
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from ratoon.errors import MissingExtra

try:
    import anyio
    import anyio.to_thread
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
except ImportError as error:
    raise MissingExtra("the server", "server", "starlette") from error

from ratoon.server.bodies import decode, read_body
from ratoon.server.endpoint import Answer, Call, Endpoint, Transfer
from ratoon.server.failures import Failure, Unacceptable, failure_of
from ratoon.server.guards import check_origin
from ratoon.server.routes import artifacts, experiments, inputs, metrics, models, own, registry, runs, service, versions

if TYPE_CHECKING:
    from collections.abc import Collection

    from ratoon.tracking.client import Client

AREAS = (experiments, runs, metrics, inputs, models, registry, versions, artifacts, own, service)
ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for area in AREAS for endpoint in area.ROUTES)

# Fewer than a database takes connections: a request waits for a thread here rather than for a connection there.
THREADS = 20
# A request that would wait behind so many is refused at once, which a client may repeat safely.
MOST_WAITING = 2000
SMALLEST_COMPRESSED = 2048

_JSON = "application/json"


def make_app(client: Client, *, allowed_hosts: Collection[str] = ()) -> Starlette:
    """Put a client's stores behind HTTP.

    Args:
        client: What keeps runs, files and models.
        allowed_hosts: Names of this server beside those of the loopback; ``*`` for any.
    """
    service = _Service(client, frozenset(allowed_hosts))
    handlers = {404: service.refuse, 405: service.refuse, Exception: service.refuse}
    app = Starlette(routes=list(service.routes()), exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


class _Service:
    """What all endpoints share."""

    def __init__(self, client: Client, allowed_hosts: frozenset[str]) -> None:
        self._client = client
        self._allowed_hosts = allowed_hosts
        self._threads: anyio.CapacityLimiter | None = None

    def routes(self) -> Iterator[Route]:
        """The routes of the table, once for each of their prefixes."""
        for endpoint in ENDPOINTS:
            answer = self._guarded(endpoint)
            for prefix in endpoint.prefixes:
                route = Route(prefix + endpoint.path, answer, methods=[endpoint.method])
                # Starlette adds HEAD to GET, which would read a whole file for its headers.
                route.methods = {endpoint.method}
                yield route

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Answer a request that no route takes."""
        return _failed(failure_of(error, f"{request.method} {request.url.path[:200]}"))

    def _guarded(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                check_origin(request, self._allowed_hosts)
                if isinstance(endpoint, Call):
                    response = await self._call(endpoint, request)
                else:
                    assert isinstance(endpoint, Transfer)  # there is no third kind
                    response = await endpoint.handler(self._client, request)
            except Exception as error:
                response = _failed(failure_of(error, f"{request.method} {request.url.path[:200]}"))
                response.headers.update(getattr(error, "headers", None) or {})
            response.headers["X-Content-Type-Options"] = "nosniff"
            return response

        return answer

    async def _call(self, call: Call, request: Request) -> Response:
        body = b"" if request.method == "GET" else await read_body(request)
        query, path = request.scope["query_string"], request.path_params
        compress = "gzip" in request.headers.get("accept-encoding", "").lower()

        def work() -> Response:
            return _answered(call.handler(self._client, decode(call, body, query, path)), compress)

        return await anyio.to_thread.run_sync(work, limiter=self._free_thread())

    def _free_thread(self) -> anyio.CapacityLimiter:
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(THREADS)
        if self._threads.statistics().tasks_waiting >= MOST_WAITING:
            refusal = Unacceptable(429, "The server has too much to do; try again in a second")
            refusal.headers["Retry-After"] = "1"
            raise refusal
        return self._threads


def _answered(answer: Answer, compress: bool) -> Response:
    if isinstance(answer, str):
        return Response(answer, media_type="text/plain")
    if isinstance(answer, bytes):
        return Response(answer, media_type="application/octet-stream")
    content = msgspec.json.encode(answer)
    if not compress or len(content) < SMALLEST_COMPRESSED:
        return Response(content, media_type=_JSON)
    headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(gzip.compress(content, compresslevel=1), media_type=_JSON, headers=headers)


def _failed(failure: Failure) -> Response:
    content = msgspec.json.encode({"error_code": failure.code, "message": failure.message})
    return Response(content, failure.status, media_type=_JSON)
