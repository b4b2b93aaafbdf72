from __future__ import annotations

from typing import Any

import pytest

from ratoon.entities import Metric, RunBatch
from ratoon.stores.series import MetricSeries, to_block
from ratoon.tracking.client import Client

from .conftest import Api

INVALID = {"status": 400, "code": "INVALID_PARAMETER_VALUE"}
OWN = "/api/ratoon/1/metrics"


@pytest.fixture
def run(api: Api, client: Client) -> str:
    """A run with a hundred points."""
    run_id = api.new_run()
    points = tuple(Metric("loss", float(number), 1000 + number, number) for number in range(100))
    client.tracking.log_batch(RunBatch(run_id=run_id, metrics=points))
    return run_id


def test_history_comes_whole_or_page_by_page(api: Api, run: str) -> None:
    whole = api.get("/metrics/get-history", run_id=run, metric_key="loss")
    assert [point["step"] for point in whole["metrics"]] == list(range(100))
    assert "next_page_token" not in whole
    query: dict[str, Any] = {"run_id": run, "metric_key": "loss", "max_results": 40}
    steps, answer = [], api.get("/metrics/get-history", **query)
    while True:
        steps += [point["step"] for point in answer["metrics"]]
        if "next_page_token" not in answer:
            break
        answer = api.get("/metrics/get-history", **query, page_token=answer["next_page_token"])
    assert steps == list(range(100))
    assert api.get("/metrics/get-history", run_id=run, metric_key="none") == {}
    for token in ("x", "101", "-1", "9" * 30, "☀"):
        api.refused("GET", "/metrics/get-history", run_id=run, metric_key="loss", page_token=token, **INVALID)


def test_several_runs_are_sampled_within_an_interval(api: Api, run: str) -> None:
    bulk, key = "/metrics/get-history-bulk-interval", {"metric_key": "loss"}
    other = api.new_run()
    answer = api.get(bulk, run_ids=[run, other], start_step=10, end_step=19, **key)
    assert [(point["step"], point["run_id"]) for point in answer["metrics"]] == [(step, run) for step in range(10, 20)]
    few = api.get(bulk, run_ids=[run], max_results=10, **key)
    assert 2 <= len(few["metrics"]) <= 20
    assert {0, 99} <= {point["step"] for point in few["metrics"]}
    api.refused("GET", bulk, **key, **INVALID)


def test_arrays_are_what_the_store_has(api: Api, client: Client, run: str) -> None:
    def block(path: str, **body: Any) -> bytes:
        answer = api.http.post(OWN + path, json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
        return answer.content

    series: MetricSeries = client.tracking.metric_history(run, "loss")
    assert block("/history", run_id=run, key="loss") == to_block(series)
    sampled = client.tracking.metric_sample(run, "loss", 10)
    assert block("/sample", run_id=run, key="loss", points=10) == to_block(sampled)
    assert block("/history", run_id=run, key="none") == b""
    assert api.http.post(f"{OWN}/sample", json={"run_id": run, "key": "loss", "points": 0}).status_code == 400
    assert api.http.post(f"{OWN}/history", json={"run_id": "0" * 32, "key": "loss"}).status_code in (200, 404)
