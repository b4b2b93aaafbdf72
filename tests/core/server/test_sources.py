"""What a version may be made of, and where its files are said to be."""

from __future__ import annotations

from typing import Any

import pytest

from ratoon.entities import ModelVersion
from ratoon.tracking.client import Client

from .conftest import Api
from .test_registry import INVALID, MISSING


@pytest.fixture
def run(api: Api) -> str:
    """A run, and the name that versions are registered under."""
    api.post("/registered-models/create", name="iris")
    return api.new_run()


def model_of(api: Api, run: str) -> str:
    model = api.post("/logged-models", experiment_id="0", name="clf", source_run_id=run)["model"]["info"]
    found: str = model["model_id"]
    return found


def register(api: Api, source: str, **fields: str) -> dict[str, Any]:
    found: dict[str, Any] = api.post("/model-versions/create", name="iris", source=source, **fields)["model_version"]
    return found


def files_of(api: Api, version: dict[str, Any]) -> str:
    named = {"name": version["name"], "version": version["version"]}
    uri: str = api.get("/model-versions/get-download-uri", **named)["artifact_uri"]
    return uri


def test_a_logged_model_tells_its_run_and_files(api: Api, run: str) -> None:
    model_id = model_of(api, run)
    for fields in ({}, {"model_id": model_id}, {"model_id": model_id, "run_id": run}, {"run_id": ""}):
        version = register(api, f"models:/{model_id}", **fields)
        assert (version["run_id"], version["model_id"], version["source"]) == (run, model_id, f"models:/{model_id}")
        assert files_of(api, version) == f"mlflow-artifacts:/0/models/{model_id}/artifacts"


def test_a_version_is_copied_and_its_copy_too(api: Api, run: str) -> None:
    model_id = model_of(api, run)
    register(api, f"models:/{model_id}")
    for source in ("models:/iris/1", "models:/iris/2"):
        copied = register(api, source)
        assert (copied["source"], copied["run_id"]) == (source, run)
        assert files_of(api, copied).endswith(f"/{model_id}/artifacts")


def test_files_of_a_run_are_a_source(api: Api, run: str) -> None:
    uri = f"mlflow-artifacts:/0/{run}/artifacts/model"
    for source in (uri, f"runs:/{run}/model"):
        version = register(api, source, run_id=run)
        assert (version["run_id"], version["source"], "model_id" in version) == (run, source, False)
        assert files_of(api, version) == uri
    copied = register(api, "models:/iris/1")
    assert files_of(api, copied) == uri


def test_a_model_of_a_run_is_found_by_its_name(api: Api, run: str) -> None:
    model_id = model_of(api, run)
    assert register(api, f"runs:/{run}/clf")["model_id"] == model_id
    whole = register(api, f"mlflow-artifacts:/0/models/{model_id}/artifacts", model_id=model_id)
    assert whole["model_id"] == model_id
    part = register(api, f"mlflow-artifacts:/0/models/{model_id}/artifacts/sub")
    assert "model_id" not in part
    assert files_of(api, part).endswith("/artifacts/sub")


def test_another_run_or_model_is_refused(api: Api, run: str) -> None:
    model_id, other = model_of(api, run), api.new_run()
    wrong: list[dict[str, str]] = [
        {"source": f"models:/{model_id}", "run_id": other},
        {"source": f"models:/{model_id}", "model_id": model_of(api, run)},
        {"source": f"mlflow-artifacts:/0/{run}/artifacts/x", "run_id": other},
        {"source": f"mlflow-artifacts:/0/{run}/artifacts/x", "model_id": model_id},
    ]
    for fields in wrong:
        assert "must identify" in api.refused("POST", "/model-versions/create", name="iris", **fields, **INVALID)


def test_what_is_not_there_is_no_source(api: Api, run: str) -> None:
    absent = [f"models:/m-{'0' * 32}", "models:/none/1", "models:/iris/7", f"runs:/{'0' * 32}/x"]
    absent.append(f"mlflow-artifacts:/0/{'0' * 32}/artifacts/x")
    for source in absent:
        api.refused("POST", "/model-versions/create", name="iris", source=source, **MISSING)
    api.refused(
        "POST",
        "/model-versions/create",
        name="iris",
        source=f"models:/{model_of(api, run)}",
        run_id="0" * 32,
        **INVALID,
    )
    api.refused("POST", "/model-versions/create", name="none", source=f"models:/{model_of(api, run)}", **MISSING)


@pytest.mark.parametrize(
    "source",
    [
        *(
            "/etc/passwd",
            "etc",
            "..",
            "file:///etc",
            "FILE:/etc",
            "file:etc",
            "file://host/etc",
            "C:\\x",
            "\\\\host\\x",
        ),
        *(
            "http://host/#/../x",
            "https://host/x;../y",
            "s3://user:pass@bucket/x",
            "s3:x",
            "dbfs:/x",
            "local:/x",
            "data:,x",
        ),
        *(
            "models:/iris@champion",
            "models:/iris/latest",
            "models:/iris",
            "models:/iris/01",
            "models://iris/1",
            "models:/",
        ),
        *("mlflow-artifacts:/", "mlflow-artifacts:/0", "mlflow-artifacts:/0/RUN", "mlflow-artifacts:/0/RUN/artifacts"),
        *("mlflow-artifacts:/0/RUN/artifacts/../x", "mlflow-artifacts:/0/RUN/artifacts/%2e%2e/x"),
        *("mlflow-artifacts://host/0/RUN/artifacts/x", "mlflow-artifacts:/9/RUN/artifacts/x", "MLFLOW-ARTIFACTS:/0/x"),
        *("mlflow-artifacts:/0/RUN/artifacts/x#y", "mlflow-artifacts:/0/RUN/artifacts/x?y", "runs:/RUN", "runs:/RUN/"),
        *("runs:/RUN/../x", "runs:/RUN/a/../../x", "runs:/RUN//x", "runs://RUN/x", "runs:/RUN/x\\y", "runs:/RUN/\x00"),
    ],
)
def test_any_other_form_is_refused(source: str, api: Api, run: str) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    given = source.replace("RUN", run)
    api.refused("POST", "/model-versions/create", name="iris", source=given, tags=tags, **INVALID)
    assert api.get("/model-versions/search") == {}


def test_a_ring_of_copies_ends(api: Api, client: Client, run: str) -> None:
    def version(name: str, source: str) -> None:
        made = ModelVersion(name=name, version=0, source=source, creation_timestamp=0, last_updated_timestamp=0)
        client.registry.create_version(made)

    client.registry.create_registered_model("rose")
    version("iris", "models:/rose/1")
    version("rose", "models:/iris/1")
    message = api.refused("GET", "/model-versions/get-download-uri", name="iris", version="1", **MISSING)
    assert "copy of itself" in message
