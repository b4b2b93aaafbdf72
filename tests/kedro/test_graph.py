"""What the graph says of nodes that did not run, and of transcoded datasets."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node
from kedro_datasets.pickle import PickleDataset

from ratoon_kedro.describing.graph import Execution, describe_pipeline
from ratoon_kedro.describing.run_folder import NodeTime


def work(*values: object) -> object:
    return values


PIPELINE = Pipeline(
    [
        node(work, "table", "raw@pandas", name="first"),
        node(work, ["raw@spark", "params:depth"], ["train", "fitted"], name="second", tags=["slow"]),
        node(work, ["fitted", "raw@pandas"], "test", name="third", namespace=None),
    ]
)


def at(name: str, seconds: float = 1.5, *, failed: bool = False) -> NodeTime:
    return NodeTime(node=name, started=1000, ended=1000 + round(seconds * 1000), seconds=seconds, failed=failed)


def statuses(execution: Execution, catalog: DataCatalog | None = None) -> dict[str, str]:
    graph = describe_pipeline(PIPELINE, catalog or DataCatalog(), execution)
    return {each["name"]: each["status"] for each in graph["nodes"]}


@pytest.mark.parametrize(
    ("complete", "only_missing", "status"),
    [(True, False, "skipped"), (True, True, "cached"), (False, False, "not_reached")],
)
def test_nodes_that_were_not_seen(complete: bool, only_missing: bool, status: str) -> None:
    execution = Execution(times={"first": at("first")}, complete=complete, only_missing_outputs=only_missing)
    assert statuses(execution) == {"first": "finished", "second": status, "third": status}


def test_what_is_known_of_a_node() -> None:
    execution = Execution(times={"second": at("second", 0.25)}, complete=True)
    first, second, _ = describe_pipeline(PIPELINE, DataCatalog(), execution)["nodes"]
    assert (second["started"], second["ended"], second["seconds"]) == (1000, 1250, 0.25)
    assert (first["started"], first["ended"], first["seconds"]) == (None, None, None)
    assert second["tags"] == ["slow"]
    assert second["params"] == ["params:depth"]


def test_a_node_that_failed_is_so_whatever_else_is_known_of_it() -> None:
    times = {"first": at("first"), "second": at("second")}
    execution = Execution(times=times, complete=False, failed="second", error="OSError: no place to save")
    graph = describe_pipeline(PIPELINE, DataCatalog(), execution)
    assert [each["status"] for each in graph["nodes"]] == ["finished", "failed", "not_reached"]
    assert graph["nodes"][1]["error"] == "OSError: no place to save"
    assert "error" not in graph["nodes"][0]
    beside = Execution(times={"first": at("first"), "second": at("second", failed=True)}, complete=False)
    assert statuses(beside)["second"] == "failed"


def test_what_a_failed_run_had_left_out_is_told_from_what_it_did_not_reach(tmp_path: Path) -> None:
    third = Execution(times={"third": at("third", failed=True)}, complete=False, only_missing_outputs=True)
    assert statuses(third) == {"first": "cached", "second": "cached", "third": "failed"}
    catalog = DataCatalog({"raw@pandas": PickleDataset(filepath=str(tmp_path / "raw.pkl"))})
    nothing = Execution(times={}, complete=False, only_missing_outputs=True)
    assert statuses(nothing, catalog)["first"] == "not_reached"
    catalog.save("raw@pandas", 1)
    assert statuses(nothing, catalog) == {"first": "cached", "second": "not_reached", "third": "not_reached"}


def test_edges_follow_transcoded_datasets() -> None:
    graph = describe_pipeline(PIPELINE, DataCatalog(), Execution(times={}, complete=True))
    assert graph["edges"] == [
        {"source": "first", "target": "second", "dataset": "raw"},
        {"source": "second", "target": "third", "dataset": "fitted"},
        {"source": "first", "target": "third", "dataset": "raw"},
    ]
