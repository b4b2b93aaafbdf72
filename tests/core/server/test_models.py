from __future__ import annotations

from typing import Any

import pytest

from .conftest import Api

INVALID = {"status": 400, "code": "INVALID_PARAMETER_VALUE"}
MISSING = {"status": 404, "code": "RESOURCE_DOES_NOT_EXIST"}


def new_model(api: Api, **fields: Any) -> dict[str, Any]:
    info: dict[str, Any] = api.post("/logged-models", experiment_id="0", **fields)["model"]["info"]
    return info


def test_a_model_is_announced_completed_and_read(api: Api) -> None:
    run = api.new_run()
    pair = [{"key": "a", "value": "1"}]
    info = new_model(api, name="clf", model_type="x", source_run_id=run, params=pair, tags=pair)
    model_id = info["model_id"]
    assert model_id.startswith("m-") and len(model_id) == 34
    assert info["status"] == "LOGGED_MODEL_PENDING"
    assert info["artifact_uri"] == f"mlflow-artifacts:/0/models/{model_id}/artifacts"
    done = api.send("PATCH", f"/logged-models/{model_id}", model_id=model_id, status="LOGGED_MODEL_READY")["model"]
    assert done["info"]["status"] == "LOGGED_MODEL_READY"
    assert api.get(f"/logged-models/{model_id}")["model"] == done
    assert (done["data"], done["info"]["tags"]) == ({"params": pair}, pair)
    assert api.get("/runs/get", run_id=run)["run"]["outputs"]["model_outputs"][0]["model_id"] == model_id


def test_a_client_may_choose_the_id(api: Api) -> None:
    info = new_model(api, name="clf", model_id="m-" + "a" * 32, creation_timestamp_ms=7)
    assert (info["model_id"], info["creation_timestamp_ms"]) == ("m-" + "a" * 32, 7)
    for wrong in ("a" * 32, "m-../../x", "m-" + "A" * 32):
        api.refused("POST", "/logged-models", experiment_id="0", model_id=wrong, **INVALID)


def test_a_model_without_a_name_gets_one(api: Api) -> None:
    assert new_model(api)["name"]


def test_tags_and_params_change(api: Api) -> None:
    path = f"/logged-models/{new_model(api, name='clf')['model_id']}"
    api.send("PATCH", f"{path}/tags", tags=[{"key": "a/b", "value": "1"}, {"key": "c", "value": "2"}])
    assert api.http.delete(f"/api/2.0/mlflow{path}/tags/a%2Fb").json() == {}
    api.refused("DELETE", f"{path}/tags/none", **MISSING)
    api.post(f"{path}/params", params=[{"key": "p", "value": "x"}])
    found = api.get(path)["model"]
    assert found["info"]["tags"] == [{"key": "c", "value": "2"}]
    assert found["data"]["params"] == [{"key": "p", "value": "x"}]


def test_search_filters_orders_and_pages(api: Api) -> None:
    made = [new_model(api, name=name, creation_timestamp_ms=at)["model_id"] for at, name in enumerate("abc")]
    order = [{"field_name": "creation_timestamp", "ascending": True}]
    first = api.post("/logged-models/search", experiment_ids=["0"], order_by=order, max_results=2)
    assert [each["info"]["model_id"] for each in first["models"]] == made[:2]
    token = first["next_page_token"]
    rest = api.post("/logged-models/search", experiment_ids=["0"], order_by=order, max_results=2, page_token=token)
    assert [each["info"]["model_id"] for each in rest["models"]] == made[2:]
    newest = api.post("/logged-models/search", experiment_ids=["0"], order_by=[order[0] | {"ascending": False}])
    assert [each["info"]["model_id"] for each in newest["models"]] == made[::-1]
    assert api.post("/logged-models/search", experiment_ids=[]) == {}
    of = [{"dataset_name": "iris"}]
    assert api.post("/logged-models/search", experiment_ids=["0"], datasets=of) == {}
    api.refused("POST", "/logged-models/search", experiment_ids=["0"], order_by=[order[0] | of[0]], **INVALID)


def test_a_deleted_model_is_gone(api: Api) -> None:
    path = f"/logged-models/{new_model(api)['model_id']}"
    assert api.send("DELETE", path) == {}
    api.refused("GET", path, **MISSING)
    api.refused("DELETE", path, **MISSING)


@pytest.mark.parametrize("status", ["READY", "logged_model_ready", "", 2, None])
def test_a_status_is_one_of_mlflows(status: object, api: Api) -> None:
    path = f"/logged-models/{new_model(api)['model_id']}"
    answer = api.http.patch(f"/api/2.0/mlflow{path}", json={"status": status})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
