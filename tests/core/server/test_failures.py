"""What is answered when something here goes wrong: a status that tells the client what to do, and no secrets."""

from __future__ import annotations

import errno
import logging
import threading
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ratoon.errors import (
    AlreadyExists,
    Conflict,
    Corrupt,
    InvalidInput,
    MissingExtra,
    NotFound,
    RatoonError,
    StoreError,
)
from ratoon.server import app
from ratoon.server.failures import Unacceptable, failure_of
from ratoon.tracking.client import Client

from .conftest import API, FILES, Serve


class Breaking:
    """A store whose disk is full, or that is broken in another way: it fails as an artifact store does."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*arguments: object, **more: object) -> None:
            raise self.error

        return fail


def serving(client: Client, serve: Serve, error: Exception) -> Any:
    client._stores |= {
        name: Breaking(error) for name in ("open_tracking_store", "open_registry", "open_artifact_store")
    }
    return serve(client).http


def full() -> StoreError:
    error = StoreError("artifact store '/secret/path' failed (No space left on device); check its owner")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


CASES: list[tuple[Exception, int, str, str]] = [
    (InvalidInput("it is wrong; do it right"), 400, "INVALID_PARAMETER_VALUE", "it is wrong; do it right"),
    (AlreadyExists("taken"), 400, "RESOURCE_ALREADY_EXISTS", "taken"),
    (NotFound("gone"), 404, "RESOURCE_DOES_NOT_EXIST", "gone"),
    (Conflict("late"), 409, "RESOURCE_CONFLICT", "late"),
    (Corrupt("bits"), 500, "DATA_LOSS", "bits"),
    (StoreError("database '/secret' failed (SELECT)"), 503, "TEMPORARILY_UNAVAILABLE", "The server's store failed"),
    (full(), 507, "TEMPORARILY_UNAVAILABLE", "The server's disk is full"),
    (StoreError("x (database or disk is full)"), 507, "TEMPORARILY_UNAVAILABLE", "The server's disk is full"),
    (MissingExtra("x", "y", "z"), 500, "INTERNAL_ERROR", "The server failed on this request"),
    (RatoonError("/secret"), 500, "INTERNAL_ERROR", "The server failed on this request"),
    (ValueError("/secret"), 500, "INTERNAL_ERROR", "The server failed on this request"),
    (RecursionError("/secret"), 500, "INTERNAL_ERROR", "The server failed on this request"),
]


@pytest.mark.parametrize(("error", "status", "code", "message"), CASES, ids=lambda value: str(value)[:30])
def test_every_error_has_its_answer(
    error: Exception,
    status: int,
    code: str,
    message: str,
    client: Client,
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
) -> None:
    http = serving(client, serve, error)
    for answer in (
        http.get(f"{API}/runs/get", params={"run_id": "x"}),
        http.get(f"{API}/registered-models/get", params={"name": "x"}),
        http.get(f"{FILES}/a"),
        http.put(f"{FILES}/a", content=b"x"),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (status, code)
        assert answer.json()["message"].startswith(message)
        assert "secret" not in answer.text
    logged = [record for record in caplog.records if record.name.startswith("ratoon")]
    assert bool(logged) == (status >= 500)
    assert all(record.levelno == logging.ERROR and API[:6] in record.getMessage() for record in logged)


def test_what_happens_before_any_route_has_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    def said(error: Exception) -> tuple[int, str, str]:
        failure = failure_of(error, "GET /x")
        return failure.status, failure.code, failure.message

    assert said(ClientDisconnect())[:2] == (400, "BAD_REQUEST")
    assert said(HTTPException(405)) == (405, "ENDPOINT_NOT_FOUND", "GET /x is not an endpoint of this server")
    assert said(HTTPException(418, "tea")) == (418, "BAD_REQUEST", "tea")
    assert said(Unacceptable(413, "big"))[:2] == (413, "BAD_REQUEST")
    assert not caplog.records


def test_a_message_is_short_and_text(caplog: pytest.LogCaptureFixture) -> None:
    assert len(failure_of(InvalidInput("x" * 100_000), "GET /x").message) == 2000
    assert failure_of(InvalidInput("a\ud800b"), "GET /x").message == "a?b"


def test_too_many_are_turned_away_before_anything_is_done(
    client: Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "MOST_WAITING", 0)
    answer = serve(client).http.post(f"{API}/runs/create", json={})
    assert (answer.status_code, answer.json()["error_code"]) == (429, "RESOURCE_EXHAUSTED")
    assert answer.headers["retry-after"] == "1"
    assert client.tracking.search_runs().items == ()


def test_a_slow_store_keeps_nobody_from_health(client: Client, serve: Serve) -> None:
    gate = threading.Event()

    class Slow:
        def get_run(self, run_id: str) -> None:
            gate.wait(30)
            raise NotFound("at last")

    client._stores["open_tracking_store"] = Slow()
    api = serve(client)
    waiting = [
        threading.Thread(target=lambda: api.http.get(f"{API}/runs/get", params={"run_id": "x"}))
        for _ in range(app.THREADS - 1)
    ]
    for thread in waiting:
        thread.start()
    try:
        assert api.http.get("/health", timeout=10).text == "OK"
    finally:
        gate.set()
        for thread in waiting:
            thread.join(30)
