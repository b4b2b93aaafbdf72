"""Reading requests: limits, encodings, and MLflow's words for what is wrong."""

from __future__ import annotations

import gzip
import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from ratoon.server import bodies

from .conftest import API, Api, RawAnswer

CREATE = f"{API}/experiments/create"
JSON = {"Content-Type": "application/json"}
PACKED = gzip.compress(b'{"name":"a"}', mtime=0)


def send(api: Api, body: bytes, **headers: str) -> RawAnswer:
    return api.raw("POST", CREATE, body, JSON | {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "Missing value for required parameter 'name'. See the API docs for more information about request"),
        ('{"name":null}', "Missing value for required parameter 'name'."),
        ('{"name":""}', "Missing value for required parameter 'name'."),
        ('{"name":5}', "Invalid value 5 for parameter 'name' supplied: Expected `str`, got `int`"),
        ('{"name":"a","tags":[{"key":"k"},{"key":[1]}]}', "Invalid value [1] for parameter 'tags[1].key' supplied: "),
        ('{"name":"a","tags":[{"value":"k"}]}', "Missing value for required parameter 'tags[0].key'."),
        ("[]", "Invalid value [] for parameter 'body' supplied: Expected `object`, got `array`"),
        ('"x"', "Invalid value \"x\" for parameter 'body' supplied"),
        ("{", "The body is not JSON ("),
        ('{"name":"\\ud800"}', "The body is not JSON ("),
        ('{"name":' + "[" * 200_000, "Invalid value for parameter 'name' supplied: Expected `str`, got `array`"),
        ('{"name":"a","x":' + '{"a":' * 100_000, "The body is nested too deeply"),
    ],
)
def test_what_is_wrong_is_said_in_mlflows_words(body: str, message: str, api: Api) -> None:
    answer = send(api, body.encode())
    assert answer.status == 400
    found = json.loads(answer.content)
    assert found["error_code"] == "INVALID_PARAMETER_VALUE"
    assert found["message"].startswith(message), found


def test_a_long_value_is_not_repeated_at_length(api: Api) -> None:
    body = json.dumps({"name": ["x" * 10_000]}).encode()
    assert len(send(api, body).content) < 500


@pytest.mark.parametrize("body", [b"\xff", b'{"name":"\xff"}', "{}".encode("utf-16"), b"\x00"])
def test_what_is_not_utf8_is_refused(body: bytes, api: Api) -> None:
    assert send(api, body).status == 400


def test_unknown_fields_are_passed_over(api: Api) -> None:
    assert send(api, b'{"name":"a","future":{"x":[1,NaN]}}').status == 200


def test_compressed_bodies_are_read(api: Api) -> None:
    assert send(api, PACKED, Content_Encoding="gzip").status == 200
    assert send(api, b'{"name":"b"}', Content_Encoding="identity").status == 200


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b'{"name":"a"}', "gzip", 400),
        (PACKED[:-3], "gzip", 400),
        (PACKED + b"x", "gzip", 400),
        (b'{"name":"a"}', "br", 415),
        (gzip.compress(b" " * (bodies.MAX_BODY + 1)), "gzip", 413),
    ],
)
def test_compression_has_limits(body: bytes, encoding: str, status: int, api: Api) -> None:
    assert send(api, body, Content_Encoding=encoding).status == status


def test_large_bodies_are_refused_by_their_header(api: Api) -> None:
    place = urlsplit(api.url)
    with socket.create_connection((place.hostname or "", place.port or 0)) as connection:
        head = f"POST {CREATE} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: 999999999\r\n\r\n".encode())
        connection.settimeout(10)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_large_bodies_without_a_header_are_refused_while_they_come(api: Api) -> None:
    def endless() -> object:
        for _ in range(40):
            yield b" " * 2**19

    answer = api.http.post(CREATE, content=endless(), headers=JSON)
    assert answer.status_code == 413


def test_a_body_that_does_not_come_is_not_waited_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    place = urlsplit(api.url)
    with socket.create_connection((place.hostname or "", place.port or 0)) as connection:
        head = f"POST {CREATE} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: 10\r\n\r\n{{".encode())
        connection.settimeout(10)
        begin = time.monotonic()
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - begin < 5


def test_answers_are_compressed_where_it_pays(api: Api) -> None:
    for number in range(30):
        api.post("/experiments/create", name=f"experiment {number}")
    plain = api.http.post(f"{API}/experiments/search", json={}, headers={"Accept-Encoding": "identity"})
    packed = api.http.post(f"{API}/experiments/search", json={}, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    assert "content-encoding" not in api.http.get("/api/ratoon/1/info", headers={"Accept-Encoding": "gzip"}).headers


def test_a_query_is_read_as_strictly(api: Api) -> None:
    for query in ("experiment_id=1&experiment_id=2", "experiment_id=%ff", "&".join(f"a{n}=1" for n in range(3000))):
        answer = api.raw("GET", f"{API}/experiments/get?{query}")
        assert (answer.status, json.loads(answer.content)["error_code"]) == (400, "INVALID_PARAMETER_VALUE"), query
    assert api.raw("GET", f"{API}/experiments/get?experiment_id=0&experiment_id=0").status == 200
    assert b"'experiment_id'" in api.raw("GET", f"{API}/experiments/get").content
    assert api.raw("GET", f"{API}/experiments/search?max_results=many").status == 400
