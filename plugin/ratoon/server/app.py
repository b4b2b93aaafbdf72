"""The application: every route of the table, behind the same guards, with the same answers to errors.

A handler runs in a thread with the decoded message and the client's stores; so do decoding, encoding and compression.
Small writes that come at the same time share a thread and a commit, where the store can do that.
Only :mod:`ratoon.server.run` and whoever embeds the application imports this module: it needs the extra ``server``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec import Struct

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
from ratoon.server.endpoint import Call, Endpoint, Transfer
from ratoon.server.failures import Unacceptable, failure_of
from ratoon.server.grouping import Group
from ratoon.server.guards import check_origin
from ratoon.server.replies import NOSNIFF, Reply, refusal_of, reply_of
from ratoon.server.routes import artifacts, experiments, inputs, metrics, models, own, registry, runs, service, versions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from ratoon.tracking.client import Client

AREAS = (experiments, runs, metrics, inputs, models, registry, versions, artifacts, own, service)
ENDPOINTS: tuple[Endpoint, ...] = tuple(endpoint for area in AREAS for endpoint in area.ROUTES)

# Fewer than a database takes connections: a request waits for a thread here rather than for a connection there.
THREADS = 20
# A request that would wait behind so many is refused at once, which a client may repeat safely.
MOST_WAITING = 2000


def make_app(client: Client, *, allowed_hosts: Collection[str] = ()) -> Application:
    """Put a client's stores behind HTTP.

    Args:
        client: What keeps runs, files and models.
        allowed_hosts: Names of this server beside those of the loopback; ``*`` for any.
    """
    return Application(_Service(client, frozenset(allowed_hosts)))


class Application(Starlette):
    """The routes of the table. One without parameters in its path is looked up, not searched for."""

    def __init__(self, service: _Service) -> None:
        routes = list(service.routes())
        handlers: Mapping[Any, Any] = {404: service.refuse, 405: service.refuse, Exception: service.refuse}
        super().__init__(routes=routes, exception_handlers=handlers)
        self.router.redirect_slashes = False
        self._direct: dict[tuple[object, object], ASGIApp] = {}
        for route in routes:
            if "{" not in route.path:
                self._direct |= {(method, route.path): route.app for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        found = self._direct.get((scope.get("method"), scope.get("path")))
        await (found or super().__call__)(scope, receive, send)


class _Asked(Struct, frozen=True):
    """A request to a call, as it came."""

    call: Call
    body: bytes
    query: bytes
    path: Mapping[str, str]
    compress: bool


class _Guarded:
    """An endpoint as an ASGI application: nothing gets past its guards, and every error becomes an answer."""

    def __init__(self, respond: Callable[..., Any], allowed_hosts: frozenset[str]) -> None:
        self._respond = respond
        self._allowed_hosts = allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply: ASGIApp
        try:
            check_origin(scope, self._allowed_hosts)
            reply = await self._respond(scope, receive)
        except Exception as error:
            reply = _refusal_of(error, scope)
        await reply(scope, receive, send)


class _Service:
    """What all endpoints share."""

    def __init__(self, client: Client, allowed_hosts: frozenset[str]) -> None:
        self._client = client
        self._allowed_hosts = allowed_hosts
        self._threads: anyio.CapacityLimiter | None = None
        self._group: Group[_Asked, Reply] = Group(self._answer_together)

    def routes(self) -> Iterator[Route]:
        """The routes of the table, once for each of their prefixes."""
        for endpoint in ENDPOINTS:
            respond = partial(self._call, endpoint) if isinstance(endpoint, Call) else partial(self._transfer, endpoint)
            answer = _Guarded(respond, self._allowed_hosts)
            for prefix in endpoint.prefixes:
                route = Route(prefix + endpoint.path, answer, methods=[endpoint.method])
                # Starlette adds HEAD to GET, which would read a whole file for its headers.
                route.methods = {endpoint.method}
                yield route

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Answer a request that no route takes."""
        reply = _refusal_of(error, request.scope)
        return Response(reply.content, reply.status, media_type="application/json")

    async def _transfer(self, transfer: Endpoint, scope: Scope, receive: Receive) -> Response:
        assert isinstance(transfer, Transfer)  # there is no third kind
        response = await transfer.handler(self._client, Request(scope, receive))
        response.raw_headers.append(NOSNIFF)
        return response

    async def _call(self, call: Call, scope: Scope, receive: Receive) -> Reply:
        headers = dict(reversed(scope["headers"]))
        body = b"" if call.method == "GET" else await read_body(headers, receive)
        compress = b"gzip" in headers.get(b"accept-encoding", b"").lower()
        asked = _Asked(call, body, scope["query_string"], scope.get("path_params", {}), compress)
        # A store that can do it has both, ``shares_commits`` and ``together``: see ratoon.stores.sql.part.
        if call.grouped and getattr(self._client.tracking, "shares_commits", False):
            _refuse_beyond(len(self._group))
            return await self._group.ask(asked)
        return await anyio.to_thread.run_sync(lambda: self._prepared(asked)(), limiter=self._free_thread())

    def _free_thread(self) -> anyio.CapacityLimiter:
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(THREADS)
        _refuse_beyond(self._threads.statistics().tasks_waiting)
        return self._threads

    def _prepared(self, asked: _Asked) -> Callable[[], Reply]:
        """What answers a request; its message is read already."""
        call = asked.call
        try:
            message = decode(call, asked.body, asked.query, asked.path)
        except Exception as error:
            return partial(_raise, error)
        return lambda: reply_of(call.handler(self._client, message), asked.compress)

    def _answer_together(self, group: Sequence[_Asked]) -> Sequence[Reply | Exception]:
        # All messages are read first: while the transaction lasts, nobody else can write.
        works = [self._prepared(asked) for asked in group]
        store: Any = self._client.tracking
        answers: Sequence[Reply | Exception] = store.together(works)
        return answers


def _raise(error: Exception) -> NoReturn:
    raise error


def _refuse_beyond(waiting: int) -> None:
    if waiting >= MOST_WAITING:
        refusal = Unacceptable(429, "The server has too much to do; try again in a second")
        refusal.headers["Retry-After"] = "1"
        raise refusal


def _refusal_of(error: Exception, scope: Scope) -> Reply:
    failure = failure_of(error, f"{scope['method']} {scope['path'][:200]}")
    return refusal_of(failure, getattr(error, "headers", None) or {})
