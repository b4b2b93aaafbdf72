"""Hostile and mistaken input to everything: refused with a message, or read back as it was given. Never a 5xx."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from ratoon.server.app import ENDPOINTS
from ratoon.server.endpoint import Call

from .conftest import API, Api, RawAnswer

JSON = {"Content-Type": "application/json"}

# As they stand in JSON.
VALUES: tuple[str, ...] = (
    *("null", "true", "0", "-1", "1.5", "1e30", "1e400", "9223372036854775808", "-9223372036854775809", "9" * 400),
    *("NaN", "-Infinity", '""', '" "', '"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', '"a\\nb"', '"☀"'),
    *(
        "[]",
        "{}",
        "[[[[[[]]]]]]",
        '["x"]',
        "[null]",
        "[{}]",
        '{"key":"x"}',
        '[{"key":"x","value":[1]}]',
        '[{"key":{}}]',
    ),
    *('"../../etc/passwd"', '"%2e%2e"', '"\'; DROP TABLE runs; --"', '"m-x"', '"models:/"', '"x y=z"', '"latest"'),
    *('"' + "x" * 300 + '"', '"' + "x" * 9000 + '"', '"' + "a/" * 500 + '"', '"' + "'" * 99 + '"'),
    "[" * 500 + "]" * 500,
)
RIGHT: dict[str, Any] = {
    "experiment_id": "0",
    "experiment_ids": ["0"],
    "run_id": "a" * 32,
    "run_ids": ["a" * 32],
    "name": "iris",
    "version": "1",
    "key": "k",
    "value": "1",
    "timestamp": 1,
    "step": 1,
    "metric_key": "k",
    "alias": "a",
    "experiment_name": "x",
    "model_id": "m-" + "b" * 32,
    "source": "models:/iris/1",
    "stage": "Staging",
    "status": "FINISHED",
    "points": 5,
}


def checked(answer: RawAnswer, what: object) -> None:
    assert answer.status < 500, (what, answer.content[:500])
    if answer.status != 200:
        found = json.loads(answer.content)
        assert answer.status in (400, 404, 409, 413), (what, answer.status)
        assert found["error_code"] and found["message"]
        assert not re.search(r"Traceback|INSERT INTO|SELECT |sqlite3\.|/ratoon\.db", found["message"]), found["message"]


CALLS = [call for call in ENDPOINTS if isinstance(call, Call) and call.request.__struct_fields__]


@pytest.fixture
def filled(api: Api) -> Api:
    """A server with a run, a model and a version, as the right values name them."""
    api.new_run(run_id=RIGHT["run_id"])
    api.post("/logged-models", experiment_id="0", model_id=RIGHT["model_id"], source_run_id=RIGHT["run_id"])
    api.post("/registered-models/create", name="iris")
    api.post("/model-versions/create", name="iris", source=f"models:/{RIGHT['model_id']}")
    return api


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_no_value_of_any_field_breaks_the_server(call: Call, filled: Api) -> None:
    """Every field in turn takes every value; the others are right."""
    path = call.prefixes[0] + re.sub(r"\{\w+(:path)?\}", RIGHT["model_id"], call.path)
    for field in call.request.__struct_fields__:
        others = {key: given for key, given in RIGHT.items() if key != field}
        query = "&".join(f"{key}={given}" for key, given in others.items() if isinstance(given, str))
        for value in VALUES:
            body = f"{json.dumps(others)[:-1]},{json.dumps(field)}:{value}}}"
            if call.method == "GET":
                answer = filled.raw("GET", f"{path}?{query}&{field}={quoted(value)}")
            else:
                answer = filled.raw(call.method, path, body.encode(), JSON)
            checked(answer, (call.path, field, value[:80]))


def quoted(value: str) -> str:
    try:
        text = json.loads(value)
    except ValueError:
        text = value
    plain = text if isinstance(text, str) else value
    return "".join(f"%{byte:02x}" for byte in plain.encode(errors="surrogatepass"))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path}")
def test_no_body_breaks_the_server(call: Call, api: Api) -> None:
    path = call.prefixes[0] + re.sub(r"\{\w+(:path)?\}", "x", call.path)
    for body in (
        b"",
        b"null",
        b"5",
        b'"x"',
        b"[]",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b"{" + b" " * 10_000,
    ):
        checked(api.raw(call.method, path, body, JSON), (call.path, body[:20]))


EXACT = (
    "0",
    "-0.0",
    "1e308",
    "5e-324",
    "0.1",
    '"NaN"',
    "NaN",
    '"-Infinity"',
    "Infinity",
    "123456789.123456789",
    '"1e5"',
)


@pytest.mark.parametrize("value", EXACT)
def test_a_value_that_is_taken_is_kept(value: str, api: Api) -> None:
    run = api.new_run()
    expected = float(value.strip('"').replace("Infinity", "inf"))
    body = f'{{"run_id":"{run}","metrics":[{{"key":"a","value":{value},"timestamp":5,"step":-7}}]}}'
    assert api.raw("POST", f"{API}/runs/log-batch", body.encode(), JSON).status == 200
    (point,) = api.get("/metrics/get-history", run_id=run, metric_key="a")["metrics"]
    assert repr(float(point["value"])) == repr(expected)
    (last,) = api.get("/runs/get", run_id=run)["run"]["data"]["metrics"]
    assert math.isnan(expected) or float(last["value"]) == expected


@pytest.mark.parametrize("step", [2**63 - 1, -(2**63), 0, "-5", "9223372036854775807", 3.0])
def test_a_step_that_is_taken_is_kept(step: Any, api: Api) -> None:
    run = api.new_run()
    api.post("/runs/log-metric", run_id=run, key="a", value=1, timestamp=step, step=step)
    (point,) = api.get("/metrics/get-history", run_id=run, metric_key="a")["metrics"]
    assert (point["step"], point["timestamp"]) == (int(step), int(step))


@pytest.mark.parametrize("number", ["9223372036854775808", "1e30", "1.5", "true", '"x"', '"1.5"', "NaN", "[]", '""'])
@pytest.mark.parametrize("field", ["step", "timestamp"])
def test_a_step_that_cannot_be_kept_is_refused_with_its_batch(field: str, number: str, api: Api) -> None:
    run = api.new_run()
    good = '{"key":"good","value":1,"timestamp":1,"step":1}'
    wrong = {"step": "1", "timestamp": "1"} | {field: number}
    bad = f'{{"key":"bad","value":1,"timestamp":{wrong["timestamp"]},"step":{wrong["step"]}}}'
    body = f'{{"run_id":"{run}","metrics":[{good},{bad}],"tags":[{{"key":"t","value":"1"}}]}}'
    answer = api.raw("POST", f"{API}/runs/log-batch", body.encode(), JSON)
    assert answer.status == 400
    assert "metrics" not in api.get("/runs/get", run_id=run)["run"]["data"]
    assert [tag["key"] for tag in api.get("/runs/get", run_id=run)["run"]["data"]["tags"]] == ["mlflow.runName"]


@pytest.mark.parametrize(
    "text",
    ["", " ", "☀💥", "a\nb\tc", "\u202e", "<script>", "'; --", "NaN", "null", "x" * 6000, "\x7f", "ﬁ", "e\u0301"],
)
def test_a_text_that_is_taken_is_kept(text: str, api: Api) -> None:
    run = api.new_run()
    api.post("/runs/log-batch", run_id=run, params=[{"key": "p", "value": text}], tags=[{"key": "t", "value": text}])
    data = api.get("/runs/get", run_id=run)["run"]["data"]
    assert data["params"] == [{"key": "p", "value": text}]
    assert {"key": "t", "value": text} in data["tags"]


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "x" * 8001, "x" * 10_000_000])
def test_a_text_that_cannot_be_kept_is_refused(text: str, api: Api) -> None:
    run = api.new_run()
    invalid = {"status": 400, "code": "INVALID_PARAMETER_VALUE"}
    message = api.refused("POST", "/runs/set-tag", run_id=run, key="t", value=text, **invalid)
    assert len(message) < 500
    api.refused("POST", "/runs/log-parameter", run_id=run, key="p", value=text, **invalid)
    for path in ("/experiments/create", "/registered-models/create"):
        api.refused("POST", path, name=text, **invalid)
    api.refused("POST", "/runs/create", run_name=text, **invalid)


def test_searches_that_are_too_much_are_refused(api: Api) -> None:
    hostile = {
        "filter": [
            " AND ".join(["metrics.a > 1"] * 5000),
            "(" * 10_000 + "metrics.a > 1" + ")" * 10_000,
            "attributes.run_id IN (" + ",".join(["'x'"] * 10_000) + ")",
            "params.a LIKE '" + "%" * 8000 + "'",
            "params.a LIKE '" + "%a" * 4000 + "'",
            "'" * 9999,
            "\x00",
            "metrics.a > " + "9" * 5000,
        ],
        "page_token": ["x", "☀", "e30=", "x" * 100_000, "[[[[", "eyJvZmZzZXQiOiAxfQ=="],
        "order_by": [["metrics.a"] * 200, ["x y z"], ["☀"], ["metrics.a DESC, metrics.b"], [""]],
        "max_results": [0, -1, 2**31, 10**18],
    }
    for path in ("/runs/search", "/experiments/search", "/logged-models/search"):
        for field, values in hostile.items():
            for value in values:
                body = json.dumps({"experiment_ids": ["0"], field: value}).encode()
                checked(api.raw("POST", API + path, body, JSON), (path, field, str(value)[:60]))


def test_a_long_url_is_refused(api: Api) -> None:
    answer = api.http.get(f"{API}/experiments/get-by-name", params={"experiment_name": "x" * 60_000})
    assert answer.status_code in (400, 404)
