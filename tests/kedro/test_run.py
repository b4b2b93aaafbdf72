"""One `kedro run` of the example project with nothing but ratoon installed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from ratoon.entities import Run, RunStatus
from ratoon.tracking.models import load_model

if TYPE_CHECKING:
    from conftest import WineProject


class Recorded(NamedTuple):
    project: WineProject
    output: CompletedProcess[str]
    run: Run


@pytest.fixture(scope="module")
def recorded(example: Path, fresh: Callable[[Path], WineProject]) -> Recorded:
    project = fresh(example)
    output = project.kedro("run", "--params", "model.n_estimators=5,model.max_depth=2")
    assert output.returncode == 0, output.stdout + output.stderr
    return Recorded(project, output, project.only_run())


def test_the_run_is_finished_and_named_after_project_and_pipeline(recorded: Recorded) -> None:
    run = recorded.run
    assert run.status is RunStatus.FINISHED
    assert run.run_name == "__default__"
    experiment = recorded.project.client().tracking.get_experiment(run.experiment_id)
    assert experiment.name == "wine"
    assert (recorded.project.path / ".ratoon" / "ratoon.db").is_file()


def test_nothing_went_wrong_and_one_line_says_how_to_see_the_run(recorded: Recorded) -> None:
    text = recorded.output.stdout + recorded.output.stderr
    assert recorded.project.complaints(text) == []
    assert (
        text.count(f"run {recorded.run.run_id} is FINISHED; see it with: ratoon runs show {recorded.run.run_id}") == 1
    )


def test_parameters_are_those_that_the_nodes_received(recorded: Recorded) -> None:
    assert recorded.run.params == {
        "split.test_size": "0.3",
        "split.seed": "7",
        "model.n_estimators": "5",
        "model.max_depth": "2",
        "model.seed": "0",
    }


def test_metrics_are_those_that_the_node_returned(recorded: Recorded) -> None:
    (report,) = (recorded.project.path / "data" / "08_reporting" / "evaluation.json").glob("*/evaluation.json")
    logged = {key: metric.value for key, metric in recorded.run.metrics.items() if "/" not in key}
    assert logged == {f"evaluation.{key}": value for key, value in json.loads(report.read_text()).items()}
    assert set(logged) == {"evaluation.accuracy", "evaluation.f1_macro", "evaluation.log_loss"}


def test_every_nodes_time_is_a_metric(recorded: Recorded) -> None:
    times = {key: metric.value for key, metric in recorded.run.metrics.items() if "/" in key}
    assert set(times) == {"kedro/seconds/train", "kedro/seconds/evaluate"}
    assert all(0 < seconds < 60 for seconds in times.values())


def test_the_model_loads_and_predicts_what_its_metrics_promise(recorded: Recorded) -> None:
    import pandas as pd
    from sklearn.metrics import accuracy_score
    from sklearn.model_selection import train_test_split

    wines = pd.read_csv(recorded.project.path / "data" / "01_raw" / "wines.csv")
    features, grower = wines.drop(columns="target"), wines["target"]
    _, test_x, _, test_y = train_test_split(features, grower, test_size=0.3, random_state=7, stratify=grower)
    model = load_model(f"runs:/{recorded.run.run_id}/classifier", client=recorded.project.client())
    assert accuracy_score(test_y, model.predict(test_x)) == recorded.run.metrics["evaluation.accuracy"].value
    assert list(model.native.feature_names_in_) == list(features.columns)


def test_the_model_has_a_signature_from_what_its_node_handled(recorded: Recorded) -> None:
    model = load_model(f"runs:/{recorded.run.run_id}/classifier", client=recorded.project.client())
    assert model.signature is not None
    assert model.info.saved_input_example_info is not None


def test_datasets_are_recorded_with_role_place_and_shape(recorded: Recorded) -> None:
    datasets = {(each.dataset.name, each.tags["mlflow.data.context"]): each.dataset for each in recorded.run.inputs}
    in_memory = {key for key, dataset in datasets.items() if "MemoryDataset" in dataset.source}
    assert set(datasets) - in_memory == {("wines", "input"), ("evaluation", "output")}
    assert {role for _, role in in_memory} == {"output"}
    wines, evaluation = datasets["wines", "input"], datasets["evaluation", "output"]
    path = recorded.project.path / "data" / "01_raw" / "wines.csv"
    assert json.loads(wines.source) == {"type": "wine.datasets.CSVTable", "path": str(path)}
    profile = json.loads(wines.profile or "")
    assert (profile["num_rows"], profile["num_columns"], len(profile["columns"])) == (178, 14, 14)
    assert profile["columns"][-1] == {"name": "target", "min": 0, "max": 2, "mean": 0.9382022472, "nulls": 0}
    columns = json.loads(wines.schema or "")["mlflow_colspec"]
    assert columns[0] == {"name": "alcohol", "type": "double"}
    assert columns[-1] == {"name": "target", "type": "long"}
    version = recorded.run.tags["kedro.run_id"]
    source = json.loads(evaluation.source)
    assert source["version"] == version
    assert Path(source["path"]).is_file()
    assert len(wines.digest) == len(evaluation.digest) == 32


def test_tags_tell_how_it_was_run(recorded: Recorded) -> None:
    import kedro

    tags = recorded.run.tags
    expected = {
        "kedro.pipeline": "__default__",
        "kedro.env": "local",
        "kedro.runner": "SequentialRunner",
        "kedro.version": kedro.__version__,
        "kedro.command": "kedro run --params model.n_estimators=5,model.max_depth=2",
        "ratoon.command": "kedro run --params model.n_estimators=5,model.max_depth=2",
        "mlflow.source.name": str(recorded.project.path),
        "mlflow.source.type": "PROJECT",
        "mlflow.runName": "__default__",
    }
    assert {key: tags[key] for key in expected} == expected
    assert "kedro.error" not in tags


def test_the_graph_has_nodes_edges_status_and_time(recorded: Recorded) -> None:
    graph = json.loads(recorded.project.read_artifact(recorded.run, "kedro/pipeline.json"))
    assert [(node["name"], node["status"]) for node in graph["nodes"]] == [
        ("train", "finished"),
        ("evaluate", "finished"),
    ]
    train = graph["nodes"][0]
    assert train["function"] == "wine.pipelines.training.nodes.train"
    assert train["inputs"] == ["wines"]
    assert train["params"] == ["params:split", "params:model"]
    assert train["seconds"] == recorded.run.metrics["kedro/seconds/train"].value
    assert {"source": "train", "target": "evaluate", "dataset": "classifier"} in graph["edges"]
    assert len(graph["edges"]) == 3


def test_listing_the_hooks_in_settings_logs_nothing_twice(
    example: Path, fresh: Callable[[Path], WineProject], recorded: Recorded
) -> None:
    project = fresh(example)
    settings = project.path / "src" / "wine" / "settings.py"
    settings.write_text(settings.read_text() + "\nfrom ratoon_kedro import RatoonHooks\n\nHOOKS = (RatoonHooks(),)\n")
    done = project.kedro("run", "--params", "model.n_estimators=5,model.max_depth=2")
    assert done.returncode == 0, done.stdout + done.stderr
    run, first = project.only_run(), recorded.run
    assert run.params == first.params
    assert _values(run) == _values(first)
    assert [each.dataset.name for each in run.inputs] == [each.dataset.name for each in first.inputs]
    assert set(run.tags) == set(first.tags)
    assert len(run.model_outputs) == 1
    store = project.client().tracking
    assert [len(store.metric_history(run.run_id, key)) for key in run.metrics] == [1] * len(run.metrics)


def _values(run: Run) -> dict[str, float | None]:
    return {key: None if "seconds" in key else metric.value for key, metric in run.metrics.items()}
