"""The table of routes: complete, with a permission for each, and guarded as one."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ratoon.server.app import ENDPOINTS, make_app
from ratoon.server.endpoint import Call, Endpoint, Permission, Transfer
from ratoon.server.wire.fields import Nothing
from ratoon.tracking.client import Client

from .conftest import Api

# What MLflow's client asks of a server that keeps runs, files and models.
WANTED = """
GET /health
GET /version
GET /api/3.0/mlflow/server-info
POST experiments/create
POST experiments/search
GET experiments/search
GET experiments/get
GET experiments/get-by-name
POST experiments/delete
POST experiments/restore
POST experiments/update
POST experiments/set-experiment-tag
POST experiments/delete-experiment-tag
POST runs/create
GET runs/get
POST runs/update
POST runs/search
POST runs/delete
POST runs/restore
POST runs/log-metric
POST runs/log-parameter
POST runs/log-batch
POST runs/set-tag
POST runs/delete-tag
POST runs/log-inputs
POST runs/outputs
GET metrics/get-history
GET metrics/get-history-bulk-interval
GET artifacts/list
POST artifacts/presigned-upload-url
POST artifacts/presigned-download-url
POST logged-models
POST logged-models/search
GET logged-models/{model_id}
PATCH logged-models/{model_id}
DELETE logged-models/{model_id}
PATCH logged-models/{model_id}/tags
DELETE logged-models/{model_id}/tags/{tag_key:path}
POST logged-models/{model_id}/params
GET logged-models/{model_id}/artifacts/directories
POST registered-models/create
GET registered-models/get
GET registered-models/search
POST registered-models/rename
PATCH registered-models/update
DELETE registered-models/delete
POST registered-models/set-tag
DELETE registered-models/delete-tag
POST registered-models/get-latest-versions
GET registered-models/get-latest-versions
POST registered-models/alias
GET registered-models/alias
DELETE registered-models/alias
POST model-versions/create
GET model-versions/get
GET model-versions/search
GET model-versions/get-download-uri
PATCH model-versions/update
DELETE model-versions/delete
POST model-versions/set-tag
DELETE model-versions/delete-tag
POST model-versions/transition-stage
GET /api/2.0/mlflow-artifacts/artifacts
GET /api/2.0/mlflow-artifacts/artifacts/{path:path}
HEAD /api/2.0/mlflow-artifacts/artifacts/{path:path}
PUT /api/2.0/mlflow-artifacts/artifacts/{path:path}
DELETE /api/2.0/mlflow-artifacts/artifacts/{path:path}
POST /api/2.0/mlflow-artifacts/mpu/{operation}/{path:path}
GET /api/2.0/mlflow-artifacts/presigned/{path:path}
GET /api/ratoon/1/info
POST /api/ratoon/1/metrics/history
POST /api/ratoon/1/metrics/sample
POST /api/ratoon/1/aliases/move
GET /api/ratoon/1/aliases/history
""".split("\n")[1:-1]


def routes_of(client: Client) -> list[tuple[str, str]]:
    found: list[Any] = list(make_app(client).routes)
    return [(method, route.path) for route in found for method in route.methods]


def test_every_route_is_there_and_no_other(client: Client) -> None:
    wanted = set()
    for line in WANTED:
        method, path = line.split(" ")
        path = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        wanted.add((method, path))
        if "mlflow" in path:
            wanted.add((method, path.replace("/api/", "/ajax-api/", 1)))
    assert set(routes_of(client)) == wanted


def test_no_route_is_there_twice(client: Client) -> None:
    found = routes_of(client)
    assert len(found) == len(set(found))


def test_every_route_says_who_may_use_it() -> None:
    open_to_all = {endpoint.path for endpoint in ENDPOINTS if endpoint.permission is Permission.ANYONE}
    assert open_to_all == {"/health", "/version", "/server-info", "/info"}
    for endpoint in ENDPOINTS:
        assert isinstance(endpoint.permission, Permission)
        if endpoint.permission is Permission.READ and endpoint.method not in ("GET", "HEAD"):
            assert re.search("search|history|sample|get-latest|download", endpoint.path), endpoint


@pytest.mark.parametrize("kind", [Call, Transfer])
def test_a_route_without_a_permission_cannot_be_made(kind: type[Endpoint]) -> None:
    with pytest.raises(TypeError, match="permission"):
        kind("GET", "/x", lambda client, request: {})
    with pytest.raises(TypeError, match="GET /x has the permission 'public'; give a Permission"):
        kind("GET", "/x", lambda client, request: {}, "public")


def urls() -> list[tuple[str, str]]:
    found = []
    for endpoint in ENDPOINTS:
        for prefix in endpoint.prefixes:
            path = re.sub(r"\{(\w+)(:path)?\}", "x", endpoint.path)
            found.append((endpoint.method, prefix + path))
    return found


def test_no_route_answers_a_foreign_host(api: Api) -> None:
    for method, path in urls():
        answer = api.raw(method, path, b"{}", {"Host": "evil.example", "Content-Type": "application/json"})
        assert answer.status == (200 if path == "/health" else 403), (method, path)


def test_no_route_is_written_to_by_a_foreign_page(api: Api) -> None:
    for method, path in urls():
        if method not in ("GET", "HEAD"):
            for origin in ("https://evil.example", "null", "http://localhost:1"):
                headers = {"Origin": origin, "Content-Type": "application/json"}
                assert api.raw(method, path, b"{}", headers).status == 403, (method, path)


def test_no_route_takes_a_body_that_is_not_json(api: Api) -> None:
    calls = [(call.method, call.prefixes[0] + call.path) for call in ENDPOINTS if isinstance(call, Call)]
    for method, path in calls:
        if method != "GET":
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
                answer = api.raw(method, path, b"{}", {"Content-Type": kind})
                assert answer.status == 415, (method, path)


def test_twins_answer_alike(api: Api) -> None:
    for method, path in urls():
        if method == "GET" and path.startswith("/api/2.0"):
            ours, twin = (api.raw("GET", each) for each in (path, path.replace("/api", "/ajax-api", 1)))
            assert (ours.status, ours.content.replace(b"/api", b"")) == (
                twin.status,
                twin.content.replace(b"/ajax-api", b""),
            )


def test_what_is_no_route_is_said_in_json(api: Api) -> None:
    for method, path in (
        ("GET", "/"),
        ("GET", "/api/2.0/mlflow/nothing"),
        ("POST", "/health"),
        ("OPTIONS", "/version"),
    ):
        answer = api.http.request(method, path)
        assert answer.json()["error_code"] == "ENDPOINT_NOT_FOUND", answer.text
        assert answer.json()["message"] == f"{method} {path} is not an endpoint of this server"


def test_fields_that_may_be_given_often_are_known() -> None:
    listed = {call.path: set(call.listed) for call in ENDPOINTS if isinstance(call, Call) and call.method == "GET"}
    assert listed["/experiments/search"] == {"order_by"}
    assert listed["/runs/get"] == set()
    assert Call("GET", "/x", lambda client, request: {}, Permission.READ, request=Nothing).listed == frozenset()
