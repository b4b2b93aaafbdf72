from __future__ import annotations

import pytest

from .conftest import Api


def test_an_experiment_is_made_read_and_found(api: Api) -> None:
    made = api.post("/experiments/create", name="wine", tags=[{"key": "team", "value": "red"}])["experiment_id"]
    assert isinstance(made, str)
    found = api.get("/experiments/get", experiment_id=made)["experiment"]
    assert (found["experiment_id"], found["name"], found["lifecycle_stage"]) == (made, "wine", "active")
    assert found["tags"] == [{"key": "team", "value": "red"}]
    assert found["artifact_location"] == f"mlflow-artifacts:/{made}"
    assert isinstance(found["creation_time"], int)
    assert api.get("/experiments/get-by-name", experiment_name="wine")["experiment"] == found


def test_the_default_one_is_always_there(api: Api) -> None:
    assert api.get("/experiments/get", experiment_id="0")["experiment"]["name"] == "Default"
    assert "tags" not in api.get("/experiments/get", experiment_id="0")["experiment"]


def test_what_is_not_there_is_said(api: Api) -> None:
    missing = {"status": 404, "code": "RESOURCE_DOES_NOT_EXIST"}
    api.refused("GET", "/experiments/get", experiment_id="77", **missing)
    api.refused("GET", "/experiments/get-by-name", experiment_name="none", **missing)
    api.refused("POST", "/experiments/delete", experiment_id="77", **missing)


def test_a_name_is_taken_once(api: Api) -> None:
    api.post("/experiments/create", name="wine")
    message = api.refused("POST", "/experiments/create", name="wine", status=400, code="RESOURCE_ALREADY_EXISTS")
    assert "INSERT" not in message


def test_search_pages_orders_and_views(api: Api) -> None:
    made = [api.post("/experiments/create", name=f"e{number}")["experiment_id"] for number in range(3)]
    first = api.post("/experiments/search", filter="name LIKE 'e%'", order_by=["name DESC"], max_results=2)
    assert [each["name"] for each in first["experiments"]] == ["e2", "e1"]
    token = first["next_page_token"]
    rest = api.get(
        "/experiments/search", filter="name LIKE 'e%'", order_by="name DESC", max_results="2", page_token=token
    )
    assert [each["name"] for each in rest["experiments"]] == ["e0"]
    assert "next_page_token" not in rest
    api.post("/experiments/delete", experiment_id=made[0])
    assert api.post("/experiments/search", view_type="DELETED_ONLY")["experiments"][0]["lifecycle_stage"] == "deleted"
    assert api.post("/experiments/search", filter="name = 'none'") == {}
    api.post("/experiments/restore", experiment_id=made[0])
    assert len(api.post("/experiments/search", view_type="ALL")["experiments"]) == 4


def test_tags_and_names_change(api: Api) -> None:
    made = api.post("/experiments/create", name="old")["experiment_id"]
    assert api.post("/experiments/set-experiment-tag", experiment_id=made, key="a", value="1") == {}
    assert api.post("/experiments/update", experiment_id=made, new_name="new") == {}
    found = api.get("/experiments/get", experiment_id=made)["experiment"]
    assert (found["name"], found["tags"]) == ("new", [{"key": "a", "value": "1"}])
    api.post("/experiments/delete-experiment-tag", experiment_id=made, key="a")
    assert "tags" not in api.get("/experiments/get", experiment_id=made)["experiment"]


@pytest.mark.parametrize(
    "location",
    [
        *("/abs", "file:///abs", "FILE:/abs", "../x", "x", "javascript:alert(1)", "data:,x", "s3://user:pass@bucket/x"),
        *("mlflow-artifacts:/", "mlflow-artifacts:/..", "mlflow-artifacts:/a/../b", "mlflow-artifacts://host/a"),
        *("mlflow-artifacts:/a#b", "mlflow-artifacts:/a?b", "mlflow-artifacts:/%2e%2e/a", "mlflow-artifacts:/a\\b"),
    ],
)
def test_files_stay_in_the_servers_store(location: str, api: Api) -> None:
    api.refused(
        "POST",
        "/experiments/create",
        name="x",
        artifact_location=location,
        status=400,
        code="INVALID_PARAMETER_VALUE",
    )
    assert len(api.post("/experiments/search")["experiments"]) == 1


def test_a_folder_of_the_store_may_be_chosen(api: Api) -> None:
    made = api.post("/experiments/create", name="x", artifact_location="mlflow-artifacts:/team/x/")["experiment_id"]
    run = api.post("/runs/create", experiment_id=made)["run"]["info"]
    assert run["artifact_uri"] == f"mlflow-artifacts:/team/x/{run['run_id']}/artifacts"
