"""How models are named, and what the graph says of nodes that did not run."""

from __future__ import annotations

import pytest
from kedro.pipeline import Pipeline, node

from ratoon.entities import Metric, Run, RunStatus
from ratoon_kedro.graph import describe_pipeline, seconds_key
from ratoon_kedro.outputs import model_name


def work(*values: object) -> object:
    return values


PIPELINE = Pipeline(
    [
        node(work, "table", "raw@pandas", name="first"),
        node(work, ["raw@spark", "params:depth"], ["train", "fitted"], name="second", tags=["slow"]),
        node(work, ["fitted", "raw@pandas"], "test", name="third", namespace=None),
    ]
)


def a_run(metrics: dict[str, Metric] | None = None, **tags: str) -> Run:
    return Run(
        run_id="0" * 32,
        run_name="",
        experiment_id="1",
        user_id="",
        status=RunStatus.RUNNING,
        start_time=0,
        artifact_uri="",
        metrics=metrics or {},
        tags={key.replace("__", "."): value for key, value in tags.items()},
    )


@pytest.mark.parametrize(("dataset", "name"), [("model", "model"), ("fr.model", "fr.model"), ("m@pickle", "m")])
def test_models_are_named_after_their_dataset(dataset: str, name: str) -> None:
    assert model_name(dataset) == name


@pytest.mark.parametrize(("complete", "status"), [(True, "skipped"), (False, "not_reached")])
def test_nodes_that_were_not_seen_are_skipped_or_not_reached(complete: bool, status: str) -> None:
    times = {"first": Metric(seconds_key("first"), 1.5, 10), "second": Metric(seconds_key("second"), 2, 4)}
    run = a_run({metric.key: metric for metric in times.values()})
    graph = describe_pipeline(PIPELINE, run, since=5, complete=complete)
    seen = [(each["name"], each["status"], each["seconds"]) for each in graph["nodes"]]
    assert seen == [("first", "finished", 1.5), ("second", status, None), ("third", status, None)]
    assert graph["nodes"][1]["tags"] == ["slow"]
    assert graph["nodes"][1]["params"] == ["params:depth"]


def test_edges_follow_transcoded_datasets() -> None:
    graph = describe_pipeline(PIPELINE, a_run(), since=0, complete=True)
    assert graph["edges"] == [
        {"source": "first", "target": "second", "dataset": "raw"},
        {"source": "second", "target": "third", "dataset": "fitted"},
        {"source": "first", "target": "third", "dataset": "raw"},
    ]
