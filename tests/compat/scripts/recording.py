"""Experiments, runs, what they log, files and searches."""

from __future__ import annotations

import hashlib
import math
import pathlib

import mlflow
import numpy
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from parts import iris, part, refused


@part
def experiments(folder: pathlib.Path) -> None:
    client = MlflowClient()
    assert mlflow.get_experiment("0").name == "Default"
    made = client.create_experiment("wine", tags={"team": "red"})
    found = client.get_experiment(made)
    assert (found.name, found.lifecycle_stage, found.tags) == ("wine", "active", {"team": "red"})
    assert found.artifact_location == f"mlflow-artifacts:/{made}"
    assert client.get_experiment_by_name("wine").experiment_id == made
    assert client.get_experiment_by_name("none such") is None
    refused("RESOURCE_ALREADY_EXISTS", lambda: client.create_experiment("wine"))
    refused("RESOURCE_DOES_NOT_EXIST", lambda: client.get_experiment("4711"))
    client.set_experiment_tag(made, "stage", "lab")
    client.rename_experiment(made, "red wine")
    found = client.get_experiment(made)
    assert (found.name, found.tags["stage"]) == ("red wine", "lab")
    client.delete_experiment_tag(made, "stage")
    assert "stage" not in client.get_experiment(made).tags
    client.delete_experiment(made)
    assert client.get_experiment(made).lifecycle_stage == "deleted"
    assert made not in [each.experiment_id for each in client.search_experiments()]
    assert [each.experiment_id for each in client.search_experiments(view_type=ViewType.DELETED_ONLY)] == [made]
    client.restore_experiment(made)
    for number in range(5):
        client.create_experiment(f"many-{number}", tags={"number": str(number)})
    names = [each.name for each in client.search_experiments(filter_string="name LIKE 'many-%'", order_by=["name ASC"])]
    assert names == [f"many-{number}" for number in range(5)]
    assert [each.name for each in client.search_experiments(filter_string="tags.number = '3'")] == ["many-3"]
    first = client.search_experiments(max_results=2, order_by=["name ASC"])
    second = client.search_experiments(max_results=2, order_by=["name ASC"], page_token=first.token)
    assert first.token and not {each.name for each in first} & {each.name for each in second}


@part
def runs(folder: pathlib.Path) -> None:
    client = MlflowClient()
    mlflow.set_experiment("runs")
    with mlflow.start_run(run_name="parent", tags={"kind": "outer"}, description="a note") as parent:
        mlflow.log_param("depth", 3)
        mlflow.log_params({f"p{number}": number for number in range(150)})
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_metric("loss", math.nan, step=2)
        mlflow.log_metric("loss", math.inf, step=3)
        mlflow.log_metric("loss", -math.inf, step=-4)
        mlflow.log_metrics({"a": 1.0, "b": 2.5}, step=7)
        mlflow.set_tag("mood", "good ☀")
        mlflow.set_tags({"x": "1", "y": ""})
        mlflow.delete_tag("x")
        with mlflow.start_run(run_name="child", nested=True) as child:
            mlflow.log_metric("loss", 1)
    found = mlflow.get_run(parent.info.run_id)
    assert found.info.status == "FINISHED" and found.info.end_time >= found.info.start_time
    assert found.info.run_name == "parent" and found.data.tags["mlflow.note.content"] == "a note"
    assert found.data.params["depth"] == "3" and len(found.data.params) == 151
    assert (found.data.tags["mood"], found.data.tags["y"]) == ("good ☀", "") and "x" not in found.data.tags
    assert found.data.metrics["a"] == 1.0 and found.data.metrics["loss"] == math.inf
    history = client.get_metric_history(parent.info.run_id, "loss")
    assert [point.step for point in history] == [-4, 1, 2, 3], history
    assert history[0].value == -math.inf and history[1].value == 0.5 and math.isnan(history[2].value)
    assert mlflow.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert [each.info.run_id for each in mlflow.search_runs(output_format="list", filter_string="run_name = 'child'")]
    assert mlflow.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id
    message = refused("INVALID_PARAMETER_VALUE", lambda: client.log_param(parent.info.run_id, "depth", 4))
    assert "'3'" in message and "'4'" in message
    client.log_param(parent.info.run_id, "depth", 3)
    now = [Metric("many", float(number), 1_700_000_000_000 + number, number) for number in range(1500)]
    client.log_batch(parent.info.run_id, metrics=now[:1000], params=[Param("late", "yes")], tags=[RunTag("t", "v")])
    client.log_batch(parent.info.run_id, metrics=now[1000:])
    assert [each.value for each in client.get_metric_history(parent.info.run_id, "many")] == list(range(1500))
    with mlflow.start_run(run_id=parent.info.run_id):
        assert mlflow.active_run().info.status == "RUNNING"
        mlflow.log_metric("again", 1)
    client.update_run(parent.info.run_id, name="renamed")
    assert client.get_run(parent.info.run_id).info.run_name == "renamed"
    client.delete_run(child.info.run_id)
    assert client.get_run(child.info.run_id).info.lifecycle_stage == "deleted"
    refused("INVALID_PARAMETER_VALUE", lambda: client.log_metric(child.info.run_id, "x", 1.0))
    client.restore_run(child.info.run_id)
    client.log_metric(child.info.run_id, "x", 1.0)
    refused("RESOURCE_DOES_NOT_EXIST", lambda: client.get_run("0" * 32))
    try:
        with mlflow.start_run(run_name="failing") as failing:
            raise RuntimeError("boom")
    except RuntimeError:
        assert mlflow.get_run(failing.info.run_id).info.status == "FAILED"
    for number in range(20):
        client.log_metric(child.info.run_id, "background", number, step=number, synchronous=False)
    mlflow.flush_async_logging()


@part
def default(folder: pathlib.Path) -> None:
    with mlflow.start_run() as run:
        mlflow.log_metric("x", 1)
    assert run.info.experiment_id == "0"
    assert mlflow.search_runs(output_format="list")[0].info.run_id == run.info.run_id


@part
def search(folder: pathlib.Path) -> None:
    client = MlflowClient()
    home = mlflow.set_experiment("search").experiment_id
    data = mlflow.data.from_pandas(iris()[0], name="iris", targets=None)
    for number in range(6):
        with mlflow.start_run(run_name=f"Run {number}"):
            mlflow.log_metric("auc", number / 10)
            mlflow.log_metric("max depth", number)
            mlflow.log_param("solver", "LBFGS" if number % 2 else "saga")
            mlflow.set_tag("owner", f"ada-{number}")
            if number == 4:
                mlflow.log_input(data, context="training")
                mlflow.log_param("only here", "yes")

    def names(text: str, **given: object) -> list[str]:
        found = client.search_runs([home], filter_string=text, **given)
        return sorted(each.info.run_name.removeprefix("Run ") for each in found)

    everything = ["0", "1", "2", "3", "4", "5"]
    ids = [each.info.run_id for each in client.search_runs([home], order_by=["start_time ASC"])]
    expected = {
        "": everything,
        "metrics.auc > 0.3": ["4", "5"],
        "metrics.auc >= 0.3": ["3", "4", "5"],
        "metrics.auc < 0.1": ["0"],
        "metric.auc <= 0.1": ["0", "1"],
        "metrics.auc = 0.5": ["5"],
        "metrics.auc != 0.5": everything[:5],
        'metrics."max depth" = 2': ["2"],
        "metrics.`max depth` = 2": ["2"],
        "params.solver = 'saga'": ["0", "2", "4"],
        "params.solver != 'saga'": ["1", "3", "5"],
        "params.solver LIKE 'LB%'": ["1", "3", "5"],
        "params.solver LIKE 'lb%'": [],
        "params.solver ILIKE 'lb%'": ["1", "3", "5"],
        "params.`only here` IS NULL": ["0", "1", "2", "3", "5"],
        "params.`only here` IS NOT NULL": ["4"],
        "tags.owner = 'ada-3'": ["3"],
        "tag.owner ILIKE 'ADA-%' AND metrics.auc > 0.4": ["5"],
        "tags.none IS NULL": everything,
        "tags.owner IS NOT NULL": everything,
        "attributes.status = 'FINISHED'": everything,
        "status != 'FINISHED'": [],
        "attributes.run_name LIKE 'Run %'": everything,
        "run_name ILIKE 'run 1'": ["1"],
        f"attributes.run_id IN ('{ids[0]}', '{ids[2]}')": ["0", "2"],
        f"run_id NOT IN ('{ids[0]}')": everything[1:],
        f"attributes.run_id = '{ids[1]}'": ["1"],
        "attributes.start_time > 0": everything,
        "attributes.end_time < 1000": [],
        "dataset.name = 'iris'": ["4"],
        "datasets.name LIKE 'ir%'": ["4"],
        "dataset.context = 'training'": ["4"],
        f"dataset.digest IN ('{data.digest}')": ["4"],
        "datasets.name != 'iris'": [],
    }
    for text, wanted in expected.items():
        assert names(text) == wanted, (text, names(text), wanted)
    for text in (
        "metrics.auc >",
        "metrics.auc > 0.5 OR metrics.auc < 0.1",
        "nothing.x = 1",
        "params.solver > 'a'",
        "'",
    ):
        refused("INVALID_PARAMETER_VALUE", lambda text=text: names(text))
    best = client.search_runs([home], order_by=["metrics.auc DESC"], max_results=2)
    assert [each.data.metrics["auc"] for each in best] == [0.5, 0.4] and best.token
    more = client.search_runs([home], order_by=["metrics.auc DESC"], max_results=2, page_token=best.token)
    assert [each.data.metrics["auc"] for each in more] == [0.3, 0.2]
    by_param = client.search_runs([home], order_by=["params.solver ASC", "metrics.auc ASC"])
    assert [each.data.metrics["auc"] for each in by_param] == [0.1, 0.3, 0.5, 0.0, 0.2, 0.4]
    client.delete_run(ids[5])
    assert names("") == everything[:5]
    assert names("", run_view_type=ViewType.DELETED_ONLY) == ["5"]
    assert names("", run_view_type=ViewType.ALL) == everything
    frame = mlflow.search_runs(experiment_names=["search"], filter_string="metrics.auc > 0.2")
    assert sorted(frame["metrics.auc"]) == [0.3, 0.4]


@part
def datasets(folder: pathlib.Path) -> None:
    mlflow.set_experiment("datasets")
    rows, kinds = iris()
    with mlflow.start_run() as run:
        given = mlflow.data.from_pandas(rows.assign(kind=kinds), targets="kind", name="iris", source="/data/iris.csv")
        mlflow.log_input(given, context="training", tags={"split": "a"})
        mlflow.log_input(mlflow.data.from_numpy(numpy.ones((3, 2)), name="ones"), context="test")
        mlflow.log_metric("auc", 0.9, dataset=given)
    inputs = {each.dataset.name: each for each in mlflow.get_run(run.info.run_id).inputs.dataset_inputs}
    assert set(inputs) == {"iris", "ones"}
    found = inputs["iris"]
    assert found.dataset.digest == given.digest and "sepal" in found.dataset.schema
    assert {tag.key: tag.value for tag in found.tags} == {"mlflow.data.context": "training", "split": "a"}
    assert mlflow.data.get_source(found.dataset) is not None


@part
def artifacts(folder: pathlib.Path) -> None:
    client = MlflowClient()
    mlflow.set_experiment("artifacts")
    (folder / "tree" / "deep").mkdir(parents=True)
    (folder / "tree" / "a.txt").write_text("a")
    (folder / "tree" / "deep" / "ünï cödé 1.txt").write_text("b")
    (folder / "large.bin").write_bytes(bytes(range(256)) * 40_000)
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(folder / "large.bin"), "in")
        mlflow.log_artifacts(str(folder / "tree"), "tree")
        mlflow.log_text("hello ☀", "notes/hello.txt")
        mlflow.log_dict({"a": [1, 2]}, "config.json")
        mlflow.log_table({"x": [1, 2], "y": ["a", "b"]}, "table.json")
        mlflow.log_table({"x": [3], "y": ["c"]}, "table.json")
        mlflow.log_image(numpy.zeros((4, 4, 3), dtype="uint8"), key="dots", step=1)
    run_id = run.info.run_id
    top = {each.path: each for each in client.list_artifacts(run_id)}
    assert {"in", "tree", "notes", "config.json", "table.json", "images"} <= set(top)
    assert top["in"].is_dir and top["in"].file_size is None and top["config.json"].file_size > 5
    assert [each.path for each in client.list_artifacts(run_id, "tree")] == ["tree/a.txt", "tree/deep"]
    assert client.list_artifacts(run_id, "none such") == [] and client.list_artifacts(run_id, "config.json") == []
    local = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=str(folder / "down")))
    assert (local / "in" / "large.bin").read_bytes() == (folder / "large.bin").read_bytes()
    assert (local / "tree" / "deep" / "ünï cödé 1.txt").read_text() == "b"
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/notes/hello.txt") == "hello ☀"
    assert mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/config.json") == {"a": [1, 2]}
    assert list(mlflow.load_table("table.json", run_ids=[run_id])["x"]) == [1, 2, 3]
    try:
        mlflow.artifacts.download_artifacts(f"runs:/{run_id}/none.txt")
    except (MlflowException, OSError):
        pass
    else:
        raise AssertionError("a file that is not there was downloaded")


@part
def gigabyte(folder: pathlib.Path) -> None:
    """Send and fetch a file of 1 GiB; the test looks at the server's memory meanwhile."""
    mlflow.set_experiment("gigabyte")
    block = numpy.random.default_rng(0).bytes(16 * 2**20)
    with open(folder / "big.bin", "wb") as file:
        for _ in range(64):
            file.write(block)
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(folder / "big.bin"))
    local = mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/big.bin", dst_path=str(folder / "down"))
    digests = []
    for path in (folder / "big.bin", pathlib.Path(local)):
        with open(path, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
        path.unlink()
    assert digests[0] == digests[1]
