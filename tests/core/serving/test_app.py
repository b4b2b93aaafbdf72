from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ratoon.entities import ModelVersion
from ratoon.hookspecs import hookimpl
from ratoon.manager import make_manager
from ratoon.models.loading import LoadedModel, load_folder
from ratoon.models.saving import save_model
from ratoon.version import __version__

COLUMNS = ["sepal length", "sepal width", "petal length"]
ROWS = [[5.1, 3.5, 1.4], [6.9, 3.1, 5.4]]
VERSION = ModelVersion(name="iris", version=3, source="models:/m-1", creation_timestamp=1, last_updated_timestamp=1)
SECRET = "s3cret-4711"


@pytest.fixture
def client(serve: Any, iris: LoadedModel) -> Iterator[httpx.Client]:
    with serve(iris, VERSION) as client:
        yield client


def records() -> list[dict[str, float]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]


def error_of(response: httpx.Response, status: int, code: str) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert answer.keys() == {"error_code", "message"}
    assert answer["error_code"] == code
    message = answer["message"]
    assert isinstance(message, str) and "Traceback" not in message and SECRET not in message
    return message


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": COLUMNS, "data": ROWS}},
        {"dataframe_split": {"columns": COLUMNS[::-1], "data": [row[::-1] for row in ROWS]}},
        {"dataframe_records": records()},
        {"instances": records()},
        {"inputs": {name: [row[at] for row in ROWS] for at, name in enumerate(COLUMNS)}},
    ],
)
def test_every_json_format_gets_the_same_predictions(document: dict[str, Any], client: httpx.Client) -> None:
    response = client.post("/invocations", json=document)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"predictions": ["setosa", "virginica"]}


def test_csv_gets_predictions(client: httpx.Client) -> None:
    content = "\n".join([",".join(COLUMNS), *(",".join(map(str, row)) for row in ROWS)])
    response = client.post("/invocations", content=content, headers={"content-type": "text/csv"})
    assert response.json() == {"predictions": ["setosa", "virginica"]}


def test_a_request_without_content_type_is_json(client: httpx.Client) -> None:
    content = json.dumps({"dataframe_records": records()}).encode()
    request = client.build_request("POST", "/invocations", content=content)
    assert "content-type" not in request.headers
    assert client.send(request).status_code == 200


def test_a_model_of_arrays_gets_arrays(serve: Any, tensors: LoadedModel) -> None:
    with serve(tensors) as client:
        for field in ("instances", "inputs"):
            response = client.post("/invocations", json={field: [[1, 1], [2, 3]]})
            assert response.json() == {"predictions": [pytest.approx(2), pytest.approx(5)]}


def test_ping_health_and_version(client: httpx.Client) -> None:
    assert client.get("/ping").text == "\n"
    assert client.head("/ping").status_code == 200
    assert client.get("/health").json() == {
        "status": "ok",
        "model_uri": "models:/iris@champion",
        "name": "iris",
        "version": 3,
    }
    assert client.get("/version").text == __version__


def test_health_of_a_model_that_is_not_registered(serve: Any, iris: LoadedModel) -> None:
    with serve(iris) as client:
        assert client.get("/health").json() == {
            "status": "ok",
            "model_uri": "models:/iris@champion",
            "name": None,
            "version": None,
        }


def test_unreadable_bodies_are_bad_requests(client: httpx.Client) -> None:
    message = error_of(client.post("/invocations", content=b'{"columns": ["s3cret-4711"]}'), 400, "BAD_REQUEST")
    assert "exactly one of the input fields" in message
    error_of(client.post("/invocations", content=b"s3cret-4711"), 400, "BAD_REQUEST")
    error_of(client.post("/invocations", content=b""), 400, "BAD_REQUEST")


def test_schema_violations_name_the_column(client: httpx.Client) -> None:
    missing = client.post("/invocations", json={"dataframe_records": [{"sepal length": 1.5, "sepal width": 1.5}]})
    assert "petal length" in error_of(missing, 400, "INVALID_PARAMETER_VALUE")
    wrong = client.post("/invocations", json={"dataframe_split": {"columns": COLUMNS, "data": [[SECRET, 1.0, 1.0]]}})
    assert "sepal length" in error_of(wrong, 400, "INVALID_PARAMETER_VALUE")
    rows = client.post("/invocations", json={"instances": [[1.0], [2.0]]})
    error_of(rows, 400, "INVALID_PARAMETER_VALUE")


def test_parameters_that_the_model_does_not_take_are_refused(client: httpx.Client) -> None:
    response = client.post("/invocations", json={"dataframe_records": records(), "params": {"heat": SECRET}})
    error_of(response, 400, "INVALID_PARAMETER_VALUE")


def test_other_content_types_are_refused(client: httpx.Client) -> None:
    response = client.post("/invocations", content=b"x", headers={"content-type": "text/plain"})
    assert "send application/json or text/csv" in error_of(response, 415, "BAD_REQUEST")


def test_unknown_routes_and_methods_are_refused_in_json(client: httpx.Client) -> None:
    message = error_of(client.get("/api/2.0/mlflow/runs/get"), 404, "ENDPOINT_NOT_FOUND")
    assert "/openapi.json lists them" in message
    response = client.get("/invocations")
    error_of(response, 405, "BAD_REQUEST")
    assert response.headers["allow"] == "POST"


def test_large_bodies_are_refused_by_their_length_and_while_they_come_in(serve: Any, iris: LoadedModel) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(50):
            yield b" " * 1000

    with serve(iris, max_body=10_000) as client:
        announced = client.post("/invocations", content=b" " * 10_001)
        assert "larger than 10000 bytes" in error_of(announced, 413, "BAD_REQUEST")
        error_of(client.post("/invocations", content=endless()), 413, "BAD_REQUEST")
        body = json.dumps({"dataframe_records": records()})
        assert client.post("/invocations", content=body.ljust(10_000)).status_code == 200


class Moody:
    """A model that waits, fails or answers what JSON cannot hold, as it is told."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def answer(self, wish: str) -> Any:
        if wish == "wait":
            self.entered.set()
            assert self.go_on.wait(10)
            return wish
        if wish == "object":
            return object()
        raise ValueError(f"cannot stand {wish}")


class MoodyFlavor:
    """The flavor of moody models: there is nothing to save."""

    requirements = ()

    def recognises(self, model: object) -> bool:
        return isinstance(model, Moody)

    def save(self, model: Any, folder: Path) -> dict[str, Any]:
        (folder / "mood.txt").write_text("moody")
        return {}

    def load(self, folder: Path, config: Any, policy: Any) -> Moody:
        return Moody()

    def predict(self, model: Moody, data: Any, params: Any = None) -> Any:
        return model.answer(data[0])

    def example_from(self, model: object, candidates: Any) -> None:
        return None


class MoodyPlugin:
    """A plugin as a third party would write it."""

    @hookimpl
    def register_flavors(self, register: Any) -> None:
        register("moody", MoodyFlavor())


@pytest.fixture
def moody(tmp_path: Path) -> LoadedModel:
    manager = make_manager([MoodyPlugin()], builtins=[], installed=False)
    save_model(Moody(), tmp_path / "model", manager=manager)
    return load_folder(tmp_path / "model", manager=manager)


def test_a_failing_model_is_the_servers_fault_and_in_its_log(
    serve: Any, moody: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(moody) as client, caplog.at_level(logging.ERROR):
        response = client.post("/invocations", json={"instances": [SECRET]})
        message = error_of(response, 500, "INTERNAL_ERROR")
    assert message == "The model failed on this input (ValueError); the server's log has the details"
    (record,) = [record for record in caplog.records if record.name == "ratoon.serving.app"]
    assert record.exc_info is not None and "models:/iris@champion" in record.getMessage()


def test_an_answer_that_json_cannot_hold_is_the_models_failure(serve: Any, moody: LoadedModel) -> None:
    with serve(moody) as client:
        error_of(client.post("/invocations", json={"instances": ["object"]}), 500, "INTERNAL_ERROR")


def test_the_server_answers_while_a_model_predicts(serve: Any, moody: LoadedModel) -> None:
    answers: list[httpx.Response] = []
    with serve(moody) as client:
        waiting = threading.Thread(
            target=lambda: answers.append(client.post("/invocations", json={"instances": ["wait"]}))
        )
        waiting.start()
        assert moody.native.entered.wait(10)
        before = time.monotonic()
        assert client.get("/ping").status_code == 200
        assert time.monotonic() - before < 2 and not answers
        moody.native.go_on.set()
        waiting.join()
    assert answers[0].json() == {"predictions": "wait"}


def test_a_client_that_goes_away_leaves_no_traceback(
    serve: Any, iris: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(iris) as client, caplog.at_level(logging.ERROR):
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            time.sleep(0.2)
        time.sleep(0.2)
        assert client.get("/ping").status_code == 200
    assert not caplog.records
