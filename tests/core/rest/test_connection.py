from __future__ import annotations

import base64
import io
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ratoon.artifacts.remote import RemoteArtifactStore
from ratoon.entities import Metric, RunBatch
from ratoon.errors import (
    AlreadyExists,
    Conflict,
    Corrupt,
    InvalidInput,
    InvalidSetting,
    NotFound,
    RatoonError,
    StoreError,
    StoreUnavailable,
)
from ratoon.remote import connection as connection_module
from ratoon.remote.connection import Connection
from ratoon.stores.rest.runs import OF_MLFLOW, parts_of
from ratoon.stores.rest.tracking import RestTrackingStore

Answer = tuple[int, dict[str, str], bytes]


class Scripted:
    """A server that gives the answers of a list, the last one again and again, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [(200, {}, b"{}")]
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.asked.append((self.command, self.path, dict(self.headers), body))
                status, headers, content = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = "Connection" in headers

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    made: list[Connection] = []

    def make(uri: str, **environ: str) -> Connection:
        made.append(Connection(uri, environ=environ))
        return made[-1]

    yield make
    for connection in made:
        connection.client.close()


Connect = Callable[..., Connection]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_be_repeated_is_repeated(scripted: Scripted, connect: Connect, status: int) -> None:
    scripted.answers = [(status, {}, b"")] * 2 + [(200, {}, b'{"a": 1}')]
    assert connect(scripted.uri).get("/x") == {"a": 1}
    assert len(scripted.asked) == 3


def test_what_may_not_be_repeated_is_not_unless_nothing_was_done(scripted: Scripted, connect: Connect) -> None:
    connection = connect(scripted.uri)
    scripted.answers = [(503, {}, b""), (200, {}, b"{}")]
    with pytest.raises(StoreUnavailable, match="503"):
        connection.post("/x", {}, repeatable=False)
    assert len(scripted.asked) == 1
    scripted.answers = [(429, {"Retry-After": "0"}, b""), (200, {}, b"{}")]
    assert connection.post("/x", {}, repeatable=False) == {}


def test_the_server_says_how_long_to_wait(scripted: Scripted, connect: Connect) -> None:
    scripted.answers = [(429, {"Retry-After": "1"}, b""), (200, {}, b"{}")]
    begin = time.monotonic()
    connect(scripted.uri).get("/x")
    assert time.monotonic() - begin >= 1


def test_waiting_has_an_end(scripted: Scripted, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "BUDGET_SECONDS", 0.5)
    scripted.answers = [(503, {"Retry-After": "100"}, b"")]
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"is not available \(it answered 503\); check that it runs"):
        connect(scripted.uri).get("/x")
    assert time.monotonic() - begin < 5


def test_a_server_that_is_not_there_is_unavailable(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "BUDGET_SECONDS", 0.3)
    connection = connect("http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match="127.0.0.1:1"):
        connection.get("/x")
    assert not connection.reachable()
    with pytest.raises(StoreUnavailable):
        _ = connection.is_ratoon


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "INVALID_PARAMETER_VALUE", InvalidInput),
        (400, "RESOURCE_ALREADY_EXISTS", AlreadyExists),
        (404, "RESOURCE_DOES_NOT_EXIST", NotFound),
        (409, "RESOURCE_CONFLICT", Conflict),
        (500, "DATA_LOSS", Corrupt),
        (500, "INTERNAL_ERROR", StoreError),
        (404, "ENDPOINT_NOT_FOUND", StoreError),
        (401, "UNAUTHENTICATED", StoreError),
    ],
)
def test_an_error_code_becomes_the_error_of_a_store(
    scripted: Scripted, connect: Connect, status: int, code: str, expected: type[RatoonError]
) -> None:
    scripted.answers = [(status, {}, b'{"error_code": "%s", "message": "it is so"}' % code.encode())]
    with pytest.raises(expected, match="it is so") as raised:
        connect(scripted.uri).post("/x", {})
    assert type(raised.value) is expected
    assert len(scripted.asked) == 1


@pytest.mark.parametrize("content", [b"<html>", b"[1]", b""])
def test_what_is_no_answer_of_such_a_server_says_so(scripted: Scripted, connect: Connect, content: bytes) -> None:
    scripted.answers = [(200, {}, content)]
    with pytest.raises(StoreError, match="something else than JSON; check the URI"):
        connect(scripted.uri).get("/x")


def test_bare_numbers_that_json_does_not_have_are_read(scripted: Scripted, connect: Connect) -> None:
    scripted.answers = [(200, {}, b'{"a": [NaN, Infinity, -Infinity]}')]
    assert str(connect(scripted.uri).get("/x")) == "{'a': [nan, inf, -inf]}"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("userinfo", "environ", "expected"),
    [
        ("", {}, None),
        ("ada:s3cret%40@", {}, basic("ada", "s3cret@")),
        ("", {"MLFLOW_TRACKING_TOKEN": "s3cret"}, "Bearer s3cret"),
        ("", {"RATOON_TRACKING_TOKEN": "s3cret", "MLFLOW_TRACKING_TOKEN": "other"}, "Bearer s3cret"),
        ("", {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "s3cret"}, basic("ada", "s3cret")),
        ("a:b@", {"RATOON_TRACKING_USERNAME": "ada", "RATOON_TRACKING_PASSWORD": "s3cret"}, basic("ada", "s3cret")),
        ("a:b@", {"RATOON_TRACKING_TOKEN": "s3cret"}, "Bearer s3cret"),
    ],
)
def test_credentials_come_from_the_environment_or_the_uri_and_are_never_shown(
    scripted: Scripted,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    userinfo: str,
    environ: dict[str, str],
    expected: str | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    connection = connect(scripted.uri.replace("//", f"//{userinfo}"), **environ)
    connection.get("/x")
    assert scripted.asked[0][2].get("Authorization") == expected
    scripted.answers = [(403, {}, b"")]
    with pytest.raises(StoreError, match="RATOON_TRACKING_TOKEN") as raised:
        connection.get("/x")
    shown = f"{raised.value} {connection!r} {connection.address!r} {RestTrackingStore(connection)!r} {caplog.text}"
    assert "s3cret" not in shown and (expected is None or expected.split()[1] not in shown)


@pytest.mark.parametrize("uri", ["http://", "http://ada:s3cret@/x", "http://ada:s3cret@h:bad", "http://h?a=b"])
def test_a_uri_that_names_no_server_is_refused_without_showing_it(uri: str) -> None:
    with pytest.raises(InvalidInput, match="http://host:port") as raised:
        Connection(uri, environ={})
    assert "s3cret" not in str(raised.value)


def test_settings_that_cannot_be_used_name_their_variable() -> None:
    with pytest.raises(InvalidSetting, match="MLFLOW_HTTP_REQUEST_TIMEOUT is 'soon'"):
        Connection("http://h", environ={"MLFLOW_HTTP_REQUEST_TIMEOUT": "soon"}).get("/x")
    with pytest.raises(InvalidSetting, match="RATOON_TRACKING_SERVER_CERT_PATH"):
        Connection("https://h", environ={"RATOON_TRACKING_SERVER_CERT_PATH": "/nothing"}).get("/x")


def test_the_verification_of_certificates_can_be_switched_off() -> None:
    for name in ("RATOON_TRACKING_INSECURE_TLS", "MLFLOW_TRACKING_INSECURE_TLS"):
        assert Connection("https://h", environ={name: "true"}).address.options()["verify"] is False
    assert Connection("https://h", environ={}).address.options()["verify"] is True


def test_a_prefix_of_the_server_stays(scripted: Scripted, connect: Connect) -> None:
    connect(f"{scripted.uri}/behind/a/proxy/").get("/x", a=1, b=None)
    assert scripted.asked[0][1] == "/behind/a/proxy/api/2.0/mlflow/x?a=1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_fork_has_a_connection_of_its_own(scripted: Scripted, connect: Connect) -> None:
    connection = connect(scripted.uri)
    connection.get("/x")
    parent = connection.client
    child = os.fork()
    if child == 0:
        os._exit(0 if connection.get("/y") == {} and connection.client is not parent else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert connection.get("/z") == {} and connection.client is parent


def test_what_cannot_be_said_in_json_is_refused_here(scripted: Scripted, connect: Connect) -> None:
    with pytest.raises(InvalidInput, match="JSON"):
        connect(scripted.uri).post("/x", {"a": "\ud800"})
    assert scripted.asked == []


@pytest.mark.parametrize("headers", [{"Content-Length": "10"}, {"Transfer-Encoding": "chunked"}])
def test_a_download_that_breaks_off_is_never_taken_for_the_whole(
    scripted: Scripted, connect: Connect, headers: dict[str, str]
) -> None:
    content = b"abc" if "Content-Length" in headers else b"3\r\nabc\r\n"
    scripted.answers = [(200, headers | {"Connection": "close"}, content)]
    with pytest.raises(StoreUnavailable, match="'a/b' broke off"):
        list(RemoteArtifactStore(connect(scripted.uri)).read("a/b"))


def test_a_download_is_compared_with_its_digest(scripted: Scripted, connect: Connect) -> None:
    digest = base64.b64encode(bytes(32)).decode()
    scripted.answers = [(200, {"Repr-Digest": f"sha-256=:{digest}:"}, b"abc")]
    with pytest.raises(Corrupt, match="differs from its digest"):
        list(RemoteArtifactStore(connect(scripted.uri)).read("a/b"))


def test_a_stream_that_cannot_go_back_is_sent_once(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "BUDGET_SECONDS", 0.2)

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(StoreUnavailable):
        RemoteArtifactStore(connect("http://127.0.0.1:1")).write("a", Pipe(b"x"))


def test_a_batch_is_cut_to_what_mlflow_takes() -> None:
    metrics = tuple(Metric("m", 1.0, 0, step) for step in range(2500))
    params, tags = ({f"k{number}": text for number in range(250)} for text in ("ä" * 6000, "short"))
    parts = parts_of(RunBatch(run_id="r", metrics=metrics, params=params, tags=tags), OF_MLFLOW)
    assert all(len(part.metrics) <= 1000 and len(part.params) <= 100 and len(part.tags) <= 100 for part in parts)
    assert sum((part.metrics for part in parts), ()) == metrics
    assert {key: value for part in parts for key, value in part.params.items()} == params
    assert {key: value for part in parts for key, value in part.tags.items()} == tags
    first_metrics = next(number for number, part in enumerate(parts) if part.metrics)
    assert all(not part.params for part in parts[first_metrics:])
    small = RunBatch(run_id="r", metrics=metrics[:10], params={"a": "b"})
    assert parts_of(small, OF_MLFLOW) == [small]
