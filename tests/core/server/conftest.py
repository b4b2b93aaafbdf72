from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from ratoon.server.app import make_app
from ratoon.tracking.client import Client

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


class Api:
    """What tests say to a server: short forms of MLflow's requests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=60)

    def get(self, path: str, /, **query: Any) -> Any:
        return self._json(self.http.get(API + path, params=query))

    def send(self, method: str, path: str, /, **body: Any) -> Any:
        return self._json(self.http.request(method, API + path, json=body))

    def post(self, path: str, /, **body: Any) -> Any:
        return self.send("POST", path, **body)

    def refused(self, method: str, path: str, /, *, status: int, code: str, **body: Any) -> str:
        """Send what must be refused; the message."""
        given: Any = {"params": body} if method == "GET" else {"json": body}
        answer = self.http.request(method, API + path, **given)
        assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
        message: str = answer.json()["message"]
        return message

    def raw(self, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> RawAnswer:
        """Send a path as it is: no library tidies it up."""
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        try:
            connection.request(method, target, body, dict(headers or {}))
            answer = connection.getresponse()
            return RawAnswer(answer.status, answer.read())
        finally:
            connection.close()

    def new_run(self, **fields: Any) -> str:
        run_id: str = self.post("/runs/create", **fields)["run"]["info"]["run_id"]
        return run_id

    def _json(self, answer: httpx.Response) -> Any:
        assert answer.status_code == 200, answer.text
        return answer.json()


class RawAnswer:
    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self.content = content


Serve = Callable[..., Api]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve clients on free ports."""
    running: list[tuple[uvicorn.Server, threading.Thread, Api]] = []

    def start(client: Client, **options: Any) -> Api:
        config = uvicorn.Config(make_app(client, **options), port=0, lifespan="off", log_level="warning", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        api = Api(f"http://127.0.0.1:{port}")
        running.append((server, thread, api))
        return api

    yield start
    for server, thread, api in running:
        api.http.close()
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def api(client: Client, serve: Serve) -> Api:
    """A server over a new database."""
    return serve(client)
