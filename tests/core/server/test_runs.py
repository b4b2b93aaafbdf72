from __future__ import annotations

import math
from typing import Any

import pytest

from ratoon.tracking.client import Client

from .conftest import API, Api

INVALID = {"status": 400, "code": "INVALID_PARAMETER_VALUE"}


def test_a_run_has_mlflows_shape(api: Api) -> None:
    tags = [{"key": "mlflow.runName", "value": "calm fig"}]
    run = api.post("/runs/create", experiment_id="0", user_id="ada", start_time=5, tags=tags)["run"]
    info = run["info"]
    assert info == {
        "run_uuid": info["run_id"],
        "run_id": info["run_id"],
        "run_name": "calm fig",
        "experiment_id": "0",
        "user_id": "ada",
        "status": "RUNNING",
        "start_time": 5,
        "artifact_uri": f"mlflow-artifacts:/0/{info['run_id']}/artifacts",
        "lifecycle_stage": "active",
    }
    assert run["data"] == {"tags": tags}
    assert api.get("/runs/get", run_id=info["run_id"]) == {"run": run}
    assert api.get("/runs/get", run_uuid=info["run_id"]) == {"run": run}


def test_a_run_without_anything_goes_to_the_default_experiment(api: Api) -> None:
    info = api.post("/runs/create")["run"]["info"]
    assert info["experiment_id"] == "0"
    assert info["run_name"]
    assert info["start_time"] > 1_000_000


def test_an_id_makes_a_second_time_the_same_run(api: Api) -> None:
    first = api.post("/runs/create", run_id="ab" * 16, run_name="one")
    assert api.post("/runs/create", run_id="ab" * 16, run_name="two") == first
    for wrong in ("AB" * 16, "ab", "../" + "a" * 29):
        api.refused("POST", "/runs/create", run_id=wrong, **INVALID)


def test_two_names_are_refused(api: Api) -> None:
    tags = [{"key": "mlflow.runName", "value": "b"}]
    assert "as 'a' and" in api.refused("POST", "/runs/create", run_name="a", tags=tags, **INVALID)


def test_a_deleted_experiment_takes_no_run(api: Api) -> None:
    made = api.post("/experiments/create", name="x")["experiment_id"]
    api.post("/experiments/delete", experiment_id=made)
    api.refused("POST", "/runs/create", experiment_id=made, **INVALID)


def test_everything_that_is_logged_is_read_back(api: Api) -> None:
    run = api.new_run()
    api.post("/runs/log-metric", run_id=run, key="auc", value=0.5, timestamp=10, step=3)
    api.post("/runs/log-metric", run_uuid=run, key="auc", value=0.25, timestamp="11", step="4")
    api.post("/runs/log-parameter", run_id=run, key="depth", value="3")
    api.post("/runs/set-tag", run_id=run, key="mood", value="good ☀")
    api.post("/runs/set-tag", run_id=run, key="gone", value="")
    api.post("/runs/delete-tag", run_id=run, key="gone")
    api.post("/runs/update", run_id=run, status="FINISHED", end_time=99, run_name="new")
    found = api.get("/runs/get", run_id=run)["run"]
    assert (found["info"]["status"], found["info"]["end_time"], found["info"]["run_name"]) == ("FINISHED", 99, "new")
    data = found["data"]
    assert data["metrics"] == [{"key": "auc", "value": 0.25, "timestamp": 11, "step": 4}]
    assert data["params"] == [{"key": "depth", "value": "3"}]
    assert {"key": "mood", "value": "good ☀"} in data["tags"]
    assert not [tag for tag in data["tags"] if tag["key"] == "gone"]
    history = api.get("/metrics/get-history", run_id=run, metric_key="auc")["metrics"]
    assert [(point["step"], point["value"]) for point in history] == [(3, 0.5), (4, 0.25)]


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ('"NaN"', math.nan),
        ("NaN", math.nan),
        ('"Infinity"', math.inf),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        ('"-Infinity"', -math.inf),
        ('"0.1"', 0.1),
        ("1e300", 1e300),
        ("5e-324", 5e-324),
        ("-0.0", -0.0),
        ("3", 3.0),
    ],
)
def test_numbers_are_kept_exactly(given: str, value: float, api: Api) -> None:
    run = api.new_run()
    body = f'{{"run_id":"{run}","key":"a","value":{given},"timestamp":1,"note":"NaN \\" Infinity"}}'
    answer = api.raw("POST", f"{API}/runs/log-metric", body.encode(), {"Content-Type": "application/json"})
    assert answer.status == 200, answer.content
    (point,) = api.get("/metrics/get-history", run_id=run, metric_key="a")["metrics"]
    assert repr(float(point["value"])) == repr(value)
    assert isinstance(point["value"], float) == math.isfinite(value)


def test_a_batch_is_all_or_nothing(api: Api, client: Client) -> None:
    run = api.new_run()
    point = {"key": "a", "value": 1.0, "timestamp": 1, "step": 1}
    batch: dict[str, Any] = {"params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "1"}]}
    api.post("/runs/log-batch", run_id=run, metrics=[point, point], **batch)
    assert len(client.tracking.metric_history(run, "a")) == 1
    batch["params"] = [{"key": "new", "value": "1"}, {"key": "p", "value": "2"}]
    batch["tags"] = [{"key": "late", "value": "1"}]
    message = api.refused("POST", "/runs/log-batch", run_id=run, metrics=[point | {"step": 9}], **batch, **INVALID)
    assert "'1'" in message and "'2'" in message
    found = client.tracking.get_run(run)
    assert (dict(found.params), "late" in found.tags, found.metrics["a"].step) == ({"p": "1"}, False, 1)
    twice = [{"key": "q", "value": "1"}, {"key": "q", "value": "2"}]
    assert "given twice" in api.refused("POST", "/runs/log-batch", run_id=run, params=twice, **INVALID)


def test_a_batch_has_a_limit(api: Api) -> None:
    run = api.new_run()
    pairs = [{"key": f"k{number}", "value": "x"} for number in range(1001)]
    assert "'params'" in api.refused("POST", "/runs/log-batch", run_id=run, params=pairs, **INVALID)


def test_metrics_know_their_model_and_dataset(api: Api) -> None:
    run = api.new_run()
    model_id = api.post("/logged-models", experiment_id="0")["model"]["info"]["model_id"]
    named = {"model_id": model_id, "dataset_name": "iris", "dataset_digest": "d1"}
    api.post("/runs/log-metric", run_id=run, key="auc", value=1, timestamp=1, **named)
    (found,) = api.get(f"/logged-models/{model_id}")["model"]["data"]["metrics"]
    assert found == {"key": "auc", "value": 1.0, "timestamp": 1, "step": 0, "run_id": run} | named
    named["model_id"] = "m-" + "0" * 32
    missing = {"status": 404, "code": "RESOURCE_DOES_NOT_EXIST"}
    api.refused("POST", "/runs/log-metric", run_id=run, key="auc", value=1, timestamp=1, **named, **missing)


def test_deleted_runs_take_nothing_and_come_back(api: Api) -> None:
    run = api.new_run()
    api.post("/runs/delete", run_id=run)
    assert api.get("/runs/get", run_id=run)["run"]["info"]["lifecycle_stage"] == "deleted"
    api.refused("POST", "/runs/log-parameter", run_id=run, key="a", value="1", **INVALID)
    api.post("/runs/restore", run_id=run)
    api.post("/runs/log-parameter", run_id=run, key="a", value="1")


def test_search_finds_runs_page_by_page(api: Api) -> None:
    made = [api.new_run(run_name=f"r{number}", start_time=number) for number in range(3)]
    first = api.post("/runs/search", experiment_ids=["0"], max_results=2)
    assert [each["info"]["run_id"] for each in first["runs"]] == [made[2], made[1]]
    rest = api.post("/runs/search", experiment_ids=["0"], max_results=2, page_token=first["next_page_token"])
    assert [each["info"]["run_id"] for each in rest["runs"]] == [made[0]]
    found = api.post("/runs/search", experiment_ids=["0"], filter="run_name = 'r1'", order_by=["start_time"])
    assert [each["info"]["run_id"] for each in found["runs"]] == [made[1]]
    assert api.post("/runs/search", experiment_ids=[]) == {}
    api.post("/runs/delete", run_id=made[0])
    assert len(api.post("/runs/search", experiment_ids=["0"], run_view_type="DELETED_ONLY")["runs"]) == 1
    assert len(api.post("/runs/search", experiment_ids=["0"], run_view_type="ALL")["runs"]) == 3


def test_inputs_and_outputs_are_recorded(api: Api) -> None:
    run = api.new_run()
    dataset = {"name": "iris", "digest": "d1", "source_type": "local", "source": "{}", "schema": "{}"}
    tags = [{"key": "mlflow.data.context", "value": "training"}]
    model = "m-" + "1" * 32
    api.post(
        "/runs/log-inputs", run_id=run, datasets=[{"dataset": dataset, "tags": tags}], models=[{"model_id": model}]
    )
    api.post("/runs/outputs", run_id=run, models=[{"model_id": model, "step": 3}])
    found = api.get("/runs/get", run_id=run)["run"]
    assert found["inputs"] == {
        "dataset_inputs": [{"tags": tags, "dataset": dataset}],
        "model_inputs": [{"model_id": model}],
    }
    assert found["outputs"] == {"model_outputs": [{"model_id": model, "step": 3}]}
    message = api.refused("POST", "/runs/log-inputs", run_id=run, datasets=[{"dataset": {"name": "x"}}], **INVALID)
    assert message.startswith("Missing value for required parameter 'datasets[0].dataset.digest'. See the API docs")
