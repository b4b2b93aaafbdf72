from __future__ import annotations

import pytest

from ratoon.server.guards import host_name
from ratoon.tracking.client import Client

from .conftest import API, Api, Serve


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:1", "localhost", "LocalHost:9", "localhost.", "127.9.9.9", "[::1]", "[::1]:80"],
)
def test_names_of_the_loopback_are_ours(host: str, api: Api) -> None:
    assert api.raw("GET", "/version", headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "[::]", "", "x:y"),
        *("localhost:80@evil.example", "2130706433", "0x7f.1", "[::1]evil", "*"),
    ],
)
def test_other_names_are_refused_with_the_way_out(host: str, api: Api) -> None:
    answer = api.raw("GET", "/version", headers={"Host": host})
    assert answer.status in (400, 403)
    if answer.status == 403:
        assert b"is not a name of this server" in answer.content
        assert b"--allowed-host NAME" in answer.content


def test_names_can_be_allowed(client: Client, serve: Serve) -> None:
    api = serve(client, allowed_hosts=["ml.example"])
    assert api.raw("GET", "/version", headers={"Host": "ML.example:5000"}).status == 200
    assert api.raw("GET", "/version", headers={"Host": "other.example"}).status == 403
    anything = serve(client, allowed_hosts=["*"])
    assert anything.raw("GET", "/version", headers={"Host": "other.example"}).status == 200
    assert anything.raw("GET", "/version", headers={"Host": ""}).status == 403


def test_health_is_asked_by_any_name(api: Api) -> None:
    answer = api.raw("GET", "/health", headers={"Host": "10.1.2.3:5000"})
    assert (answer.status, answer.content) == (200, b"OK")


def test_own_pages_may_write(api: Api) -> None:
    host = api.url.removeprefix("http://")
    for origin in (f"http://{host}", f"https://{host}"):
        answer = api.http.post(f"{API}/runs/create", json={}, headers={"Origin": origin})
        assert answer.status_code == 200
    refusal = api.http.post(f"{API}/runs/create", json={}, headers={"Origin": "http://localhost:9999"})
    assert (refusal.status_code, refusal.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert api.http.get("/version", headers={"Origin": "http://evil.example"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "name"),
    [("a", "a"), ("A:80", "a"), ("a.", "a"), ("[::1]:8", "::1"), ("a:b", ""), ("", ""), (" a ", "a"), ("[::1", "")],
)
def test_host_names_are_read(host: str, name: str) -> None:
    assert host_name(host) == name
