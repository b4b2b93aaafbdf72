"""One connection to a server: keep-alive, retries, and answers that are values or errors of ratoon.

A call that changes nothing when it is made twice is repeated on 429, 502, 503, 504 and broken connections; any other
only on 429 and when no connection came about, since then nothing was done. What fails in the end is StoreUnavailable.
"""

from __future__ import annotations

import json
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ratoon.errors import InvalidInput, StoreError, StoreUnavailable
from ratoon.remote.answers import BUSY, error_of
from ratoon.remote.credentials import Address
from ratoon.version import __version__

if TYPE_CHECKING:
    import httpx

MLFLOW = "/api/2.0/mlflow"
RATOON = "/api/ratoon/1"

# Waits between attempts double from the first on; together with the attempts they take no longer than the budget.
FIRST_WAIT = 0.1
BUDGET_SECONDS = 3.0
LONGEST_WAIT = 30.0
PROBE_SECONDS = 2.0

NO_SUCH_ROUTE = frozenset({404, 405})

Body = Mapping[str, Any]
Query = Mapping[str, str | int | Sequence[str] | None]


class Connection:
    """Calls to one server, from any thread.

    Args:
        uri: The server's URI; credentials in it or in the environment are used and never shown.
        environ: The environment; the process's own if None.
    """

    def __init__(self, uri: str, environ: Mapping[str, str] | None = None) -> None:
        self.address = Address(uri, environ)
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._inherited: httpx.Client | None = None
        self._owner = 0
        self._is_ratoon: bool | None = None

    def __repr__(self) -> str:
        return f"Connection({self.address.base!r})"

    @property
    def base(self) -> str:
        """The server's URL, without credentials."""
        return self.address.base

    @property
    def client(self) -> httpx.Client:
        """The client of this process; a child of ``fork`` must not use its parent's sockets."""
        if self._owner != os.getpid():
            with self._lock:
                if self._owner != os.getpid():
                    self._inherited = self._client  # not ours to close
                    self._client = _open(self.address)
                    weakref.finalize(self, self._client.close)
                    self._owner = os.getpid()
        assert self._client is not None
        return self._client

    @property
    def is_ratoon(self) -> bool:
        """Whether ratoon's own server answers, and with it everything that MLflow lacks."""
        if self._is_ratoon is None:
            response = self.attempt(lambda: self.client.get(f"{RATOON}/info"), accepted=NO_SUCH_ROUTE)
            found = _leniently(response.content) if response.is_success else None
            self._is_ratoon = isinstance(found, dict) and found.get("name") == "ratoon"
        return self._is_ratoon

    def reachable(self) -> bool:
        """Whether the server answers just now, asked once and not for long."""
        import httpx

        try:
            return self.client.get("/health", timeout=PROBE_SECONDS).status_code not in BUSY
        except httpx.HTTPError:
            return False

    def get(self, path: str, **query: str | int | Sequence[str] | None) -> dict[str, Any]:
        """Ask MLflow's API; arguments of None are left out."""
        return self.call("GET", MLFLOW + path, query=query)

    def post(self, path: str, body: Body, *, repeatable: bool = True) -> dict[str, Any]:
        """Send to MLflow's API; ``repeatable`` says that a second time changes nothing."""
        return self.call("POST", MLFLOW + path, body=body, repeatable=repeatable)

    def call(
        self, method: str, path: str, *, body: Body | None = None, query: Query | None = None, repeatable: bool = True
    ) -> dict[str, Any]:
        """Send JSON and read JSON."""
        response = self.request(method, path, body=body, query=query, repeatable=repeatable)
        try:
            found = msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            found = _leniently(response.content)
        if not isinstance(found, dict):
            raise StoreError(f"server '{self.base}' answered {path} with something else than JSON; check the URI")
        return found

    def request(
        self, method: str, path: str, *, body: Body | None = None, query: Query | None = None, repeatable: bool = True
    ) -> httpx.Response:
        """Send JSON and return the answer; everything but success is an error."""
        parameters = {key: value for key, value in (query or {}).items() if value is not None}
        content = None if body is None else _encoded(body)
        headers = {} if body is None else {"Content-Type": "application/json"}

        def send() -> httpx.Response:
            return self.client.request(method, path, content=content, params=parameters, headers=headers)

        return self.attempt(send, repeatable=repeatable)

    def attempt(
        self, send: Callable[[], httpx.Response], *, repeatable: bool = True, accepted: Collection[int] = ()
    ) -> httpx.Response:
        """Send until there is an answer or the budget of time is used up.

        Args:
            send: Makes the request, anew each time.
            repeatable: Whether a second time changes nothing.
            accepted: Statuses beside success that are an answer, too.

        Raises:
            StoreUnavailable: No answer, or none but "not now".
        """
        import httpx

        end, wait = time.monotonic() + BUDGET_SECONDS, FIRST_WAIT
        while True:
            cause, pause, again = "", wait * random.uniform(0.5, 1.5), repeatable
            try:
                response = send()
                if response.is_success or response.status_code in accepted:
                    return response
                if response.status_code not in BUSY:
                    raise error_of(response, self.base)
                response.close()
                cause, pause = f"it answered {response.status_code}", _pause(response, pause)
                again = repeatable or response.status_code == 429
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                cause, again = _explain(error), True
            except httpx.InvalidURL as error:
                raise InvalidInput(f"request to '{self.base}' has no valid path; shorten the names in it") from error
            except httpx.TransportError as error:
                cause = _explain(error)
            if not again or time.monotonic() + pause > end:
                raise StoreUnavailable(f"server '{self.base}' is not available ({cause}); check that it runs")
            time.sleep(pause)
            wait *= 2


def _open(address: Address) -> httpx.Client:
    import httpx

    # A line for each request in the log of every training is noise; whoever wants it sets the level.
    if logging.getLogger("httpx").level == logging.NOTSET:
        logging.getLogger("httpx").setLevel(logging.WARNING)
    options = address.options()
    options.setdefault("headers", {})["User-Agent"] = f"ratoon/{__version__}"
    return httpx.Client(**options, limits=httpx.Limits(max_connections=32, max_keepalive_connections=8))


def _encoded(body: Body) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (UnicodeEncodeError, TypeError, OverflowError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"request cannot be written as JSON ({error}); give other values") from error


def _leniently(content: bytes) -> object:
    """JSON in which NaN and Infinity stand bare."""
    try:
        return json.loads(content)
    except ValueError:
        return None


def _pause(response: httpx.Response, otherwise: float) -> float:
    """How long to wait before the next attempt: as the server asks, if it does."""
    try:
        return min(LONGEST_WAIT, max(0.0, float(response.headers["Retry-After"])))
    except (KeyError, ValueError):
        return otherwise


def _explain(error: Exception) -> str:
    return str(error) or type(error).__name__
