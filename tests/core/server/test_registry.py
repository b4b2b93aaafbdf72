from __future__ import annotations

import threading

import pytest

from ratoon.entities import ModelVersion
from ratoon.tracking.client import Client

from .conftest import Api

INVALID = {"status": 400, "code": "INVALID_PARAMETER_VALUE"}
MISSING = {"status": 404, "code": "RESOURCE_DOES_NOT_EXIST"}


def new_version(api: Api, name: str = "iris", **fields: object) -> str:
    if "source" not in fields:
        fields["source"] = f"models:/{api.post('/logged-models', experiment_id='0')['model']['info']['model_id']}"
    version: str = api.post("/model-versions/create", name=name, **fields)["model_version"]["version"]
    return version


@pytest.fixture
def iris(api: Api) -> str:
    """A registered model with two versions."""
    api.post("/registered-models/create", name="iris", tags=[{"key": "team", "value": "red"}], description="flowers")
    assert [new_version(api), new_version(api)] == ["1", "2"]
    return "iris"


def test_a_name_is_made_read_and_changed(api: Api, iris: str) -> None:
    found = api.get("/registered-models/get", name=iris)["registered_model"]
    assert (found["name"], found["description"], found["tags"]) == (iris, "flowers", [{"key": "team", "value": "red"}])
    assert [each["version"] for each in found["latest_versions"]] == ["2"]
    api.refused("POST", "/registered-models/create", name=iris, status=400, code="RESOURCE_ALREADY_EXISTS")
    api.send("PATCH", "/registered-models/update", name=iris, description="petals")
    api.post("/registered-models/set-tag", name=iris, key="a", value="1")
    api.send("DELETE", "/registered-models/delete-tag", name=iris, key="team")
    renamed = api.post("/registered-models/rename", name=iris, new_name="rose")["registered_model"]
    assert (renamed["name"], renamed["description"]) == ("rose", "petals")
    assert renamed["tags"] == [{"key": "a", "value": "1"}]
    api.refused("GET", "/registered-models/get", name=iris, **MISSING)
    api.send("DELETE", "/registered-models/delete", name="rose")
    api.refused("DELETE", "/registered-models/delete", name="rose", **MISSING)


def test_search_takes_what_the_client_appends(api: Api, iris: str) -> None:
    api.post("/registered-models/create", name="prompt", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}])
    text = "name LIKE '%' AND tag.`mlflow.prompt.is_prompt` != 'true'"
    found = api.get("/registered-models/search", filter=text, order_by=["name ASC"], max_results=5)["registered_models"]
    assert [each["name"] for each in found] == [iris]


def test_names_with_quotes_are_found(api: Api) -> None:
    api.post("/registered-models/create", name="o'hara")
    new_version(api, "o'hara")
    found = api.get("/registered-models/get", name="o'hara")["registered_model"]
    assert [each["version"] for each in found["latest_versions"]] == ["1"]


def test_aliases_move_and_are_followed(api: Api, iris: str, client: Client) -> None:
    for version in ("1", "2", "2"):
        assert api.post("/registered-models/alias", name=iris, alias="champion", version=version) == {}
    found = api.get("/registered-models/alias", name=iris, alias="champion")["model_version"]
    assert (found["version"], found["aliases"]) == ("2", ["champion"])
    assert api.get("/registered-models/get", name=iris)["registered_model"]["aliases"] == [
        {"alias": "champion", "version": "2"}
    ]
    api.send("DELETE", "/registered-models/alias", name=iris, alias="champion")
    api.send("DELETE", "/registered-models/alias", name=iris, alias="champion")
    api.refused("GET", "/registered-models/alias", name=iris, alias="champion", **MISSING)
    history = api.http.get("/api/ratoon/1/aliases/history", params={"name": iris, "alias": "champion"}).json()["moves"]
    assert [(move["from_version"], move["to_version"]) for move in history] == [(None, 1), (1, 2), (2, None)]
    api.refused("POST", "/registered-models/alias", name=iris, alias="latest", version="1", **INVALID)
    api.refused("POST", "/registered-models/alias", name=iris, alias="a", version="9", **MISSING)
    api.refused("POST", "/registered-models/alias", name=iris, alias="a", version="one", **INVALID)


def test_an_alias_race_has_no_losers(api: Api, iris: str) -> None:
    statuses: list[int] = []

    def race(version: str) -> None:
        for _ in range(5):
            body = {"name": iris, "alias": "champion", "version": version}
            statuses.append(api.http.post("/api/2.0/mlflow/registered-models/alias", json=body).status_code)

    threads = [threading.Thread(target=race, args=(str(number % 2 + 1),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 40


def test_an_alias_moves_by_compare_and_set(api: Api, iris: str) -> None:
    move = {"name": iris, "alias": "champion", "from_version": None, "to_version": 1, "kind": "promote"}
    verdict = {"gate": "auc", "passed": True, "reason": "NaN", "evidence": {"auc": "NaN", "limit": 0.5, "by": "ada"}}
    move |= {"moved_by": "ada", "reason": "why", "timestamp": 5, "verdicts": [verdict]}
    assert api.http.post("/api/ratoon/1/aliases/move", json=move).json() == {}
    lost = api.http.post("/api/ratoon/1/aliases/move", json=move)
    assert (lost.status_code, lost.json()["error_code"]) == (409, "RESOURCE_CONFLICT")
    answer = api.http.get("/api/ratoon/1/aliases/history", params={"name": iris, "alias": "champion"})
    assert answer.json() == {"moves": [move]}


def test_stages_are_walked_through(api: Api, iris: str) -> None:
    def transition(version: str, stage: str, archive: bool) -> dict[str, str]:
        body = {"name": iris, "version": version, "stage": stage, "archive_existing_versions": archive}
        found: dict[str, str] = api.post("/model-versions/transition-stage", **body)["model_version"]
        return found

    assert transition("1", "production", False)["current_stage"] == "Production"
    assert transition("2", "Production", True)["current_stage"] == "Production"
    assert api.get("/model-versions/get", name=iris, version="1")["model_version"]["current_stage"] == "Archived"
    new_version(api)
    for method in (api.get, api.post):
        found = method("/registered-models/get-latest-versions", name=iris)["model_versions"]
        assert {each["current_stage"]: each["version"] for each in found} == {
            "None": "3",
            "Production": "2",
            "Archived": "1",
        }
    found = api.get("/registered-models/get-latest-versions", name=iris, stages=["staging", "Archived"])[
        "model_versions"
    ]
    assert [each["version"] for each in found] == ["1"]
    body = {"name": iris, "version": "1", "stage": "Nowhere", "archive_existing_versions": False}
    api.refused("POST", "/model-versions/transition-stage", **body, **INVALID)
    body |= {"stage": "None", "archive_existing_versions": True}
    api.refused("POST", "/model-versions/transition-stage", **body, **INVALID)


def test_the_latest_of_a_stage_is_found_among_many(api: Api, client: Client) -> None:
    client.registry.create_registered_model("many")
    for _ in range(120):
        client.registry.create_version(
            ModelVersion(name="many", version=0, source="x", creation_timestamp=0, last_updated_timestamp=0)
        )
    client.registry.update_version("many", 2, stage="Production")
    found = api.get("/registered-models/get", name="many")["registered_model"]["latest_versions"]
    assert [(each["version"], each["current_stage"]) for each in found] == [("120", "None"), ("2", "Production")]


def test_versions_are_described_tagged_found_and_deleted(api: Api, iris: str) -> None:
    named = {"name": iris, "version": "1"}
    api.send("PATCH", "/model-versions/update", **named, description="first")
    api.post("/model-versions/set-tag", **named, key="ok", value="yes")
    api.post("/model-versions/set-tag", **named, key="no", value="yes")
    api.send("DELETE", "/model-versions/delete-tag", **named, key="no")
    version = api.get("/model-versions/get", **named)["model_version"]
    assert (version["description"], version["tags"]) == ("first", [{"key": "ok", "value": "yes"}])
    assert version["status"] == "READY"
    assert version["user_id"] == "ada"
    found = api.get("/model-versions/search", filter=f"name = '{iris}'", order_by=["version_number ASC"], max_results=1)
    assert [each["version"] for each in found["model_versions"]] == ["1"]
    assert found["next_page_token"]
    api.send("DELETE", "/model-versions/delete", **named)
    api.refused("GET", "/model-versions/get", **named, **MISSING)
    assert new_version(api) == "3"
    for wrong in ("0x1", "-1", "1.0", "", " 1", "9" * 20, "١"):
        api.refused("GET", "/model-versions/get", name=iris, version=wrong, **INVALID)
