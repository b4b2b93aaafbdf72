"""Models, the registry, autologging."""

from __future__ import annotations

import pathlib

import mlflow
import mlflow.sklearn
import pandas
from mlflow import MlflowClient
from parts import iris, part, refused, trained
from sklearn.linear_model import LogisticRegression


@part
def models(folder: pathlib.Path) -> None:
    client = MlflowClient()
    home = mlflow.set_experiment("models").experiment_id
    rows, kinds = iris()
    model = trained()
    with mlflow.start_run() as run:
        mlflow.log_metric("auc", 0.9)
        logged = mlflow.sklearn.log_model(
            model, name="clf", input_example=rows.head(3), params={"solver": "lbfgs"}, tags={"team": "red"}
        )
        mlflow.log_metric("late", 0.5, model_id=logged.model_id)
    assert (mlflow.sklearn.load_model(logged.model_uri).predict(rows) == model.predict(rows)).all()
    assert (mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/clf").predict(rows) == model.predict(rows)).all()
    assert len(mlflow.pyfunc.load_model(logged.model_uri).predict(rows)) == 150
    found = mlflow.get_logged_model(logged.model_id)
    assert (str(found.status), found.name, found.source_run_id) == ("READY", "clf", run.info.run_id), found
    assert found.params["solver"] == "lbfgs" and found.tags["team"] == "red"
    assert {each.key: each.value for each in found.metrics} == {"auc": 0.9, "late": 0.5}
    outputs = mlflow.get_run(run.info.run_id).outputs.model_outputs
    assert [each.model_id for each in outputs] == [logged.model_id]
    mlflow.set_logged_model_tags(logged.model_id, {"a": "1", "b": "2"})
    mlflow.delete_logged_model_tag(logged.model_id, "a")
    tags = mlflow.get_logged_model(logged.model_id).tags
    assert "a" not in tags and tags["b"] == "2"
    mlflow.log_model_params({"later": "x"}, model_id=logged.model_id)
    assert mlflow.get_logged_model(logged.model_id).params["later"] == "x"
    other = mlflow.initialize_logged_model(name="other", model_type="agent")
    for text, wanted in {
        "name = 'clf'": ["clf"],
        "params.solver = 'lbfgs'": ["clf"],
        "tags.team LIKE 'r%'": ["clf"],
        "metrics.auc > 0.8": ["clf"],
        "metrics.auc > 0.95": [],
        "model_type = 'agent'": ["other"],
        f"source_run_id = '{run.info.run_id}'": ["clf"],
    }.items():
        names = [each.name for each in mlflow.search_logged_models([home], text, output_format="list")]
        assert names == wanted, (text, names)
    ordered = mlflow.search_logged_models(
        [home], order_by=[{"field_name": "creation_time", "ascending": True}], output_format="list"
    )
    assert [each.name for each in ordered] == ["clf", "other"]
    mlflow.finalize_logged_model(other.model_id, "FAILED")
    assert str(mlflow.get_logged_model(other.model_id).status) == "FAILED"
    client.delete_logged_model(other.model_id)
    refused("RESOURCE_DOES_NOT_EXIST", lambda: mlflow.get_logged_model(other.model_id))
    listed = [each.path for each in client.list_logged_model_artifacts(logged.model_id)]
    assert "MLmodel" in listed


@part
def registry(folder: pathlib.Path) -> None:
    client = MlflowClient()
    mlflow.set_experiment("registry")
    rows, _ = iris()
    model = trained()
    with mlflow.start_run() as run:
        logged = mlflow.sklearn.log_model(model, name="clf", registered_model_name="iris")
    first = client.get_model_version("iris", "1")
    assert (first.run_id, first.source) == (run.info.run_id, f"models:/{logged.model_id}")
    second = mlflow.register_model(logged.model_uri, "iris", tags={"x": "1"})
    third = mlflow.register_model(f"runs:/{run.info.run_id}/clf", "iris")
    assert (str(second.version), str(third.version), second.tags) == ("2", "3", {"x": "1"})
    refused("RESOURCE_ALREADY_EXISTS", lambda: client.create_registered_model("iris"))
    client.set_registered_model_alias("iris", "champion", "1")
    client.set_registered_model_alias("iris", "champion", "2")
    client.set_registered_model_alias("iris", "Rival", "1")
    assert client.get_model_version_by_alias("iris", "champion").version == "2"
    assert client.get_registered_model("iris").aliases == {"champion": "2", "Rival": "1"}
    for uri in ("models:/iris@champion", "models:/iris/1", "models:/iris/latest", f"models:/{logged.model_id}"):
        assert (mlflow.sklearn.load_model(uri).predict(rows) == model.predict(rows)).all(), uri
    client.delete_registered_model_alias("iris", "Rival")
    refused("RESOURCE_DOES_NOT_EXIST", lambda: client.get_model_version_by_alias("iris", "Rival"))
    for alias in ("latest", "v3", "a b"):
        refused("INVALID_PARAMETER_VALUE", lambda alias=alias: client.set_registered_model_alias("iris", alias, "1"))
    stages(client, model)
    client.update_registered_model("iris", description="flowers")
    client.set_registered_model_tag("iris", "team", "red")
    client.set_model_version_tag("iris", "1", "ok", "yes")
    client.update_model_version("iris", "1", description="the first")
    found = client.get_registered_model("iris")
    assert (found.description, found.tags) == ("flowers", {"team": "red"})
    assert {each.current_stage: each.version for each in found.latest_versions}["Production"] == "2"
    version = client.get_model_version("iris", "1")
    assert (version.description, version.tags, version.status) == ("the first", {"ok": "yes"}, "READY")
    client.delete_registered_model_tag("iris", "team")
    client.delete_model_version_tag("iris", "1", "ok")
    assert client.get_registered_model("iris").tags == {} and client.get_model_version("iris", "1").tags == {}
    copies(client, rows, model)
    client.create_registered_model("roses", tags={"colour": "red"}, description="of the garden")
    assert [each.name for each in client.search_registered_models("name LIKE 'ro%'")] == ["roses"]
    assert [each.name for each in client.search_registered_models("tags.colour = 'red'")] == ["roses"]
    assert [each.name for each in client.search_registered_models()] == ["copy", "iris", "roses"]
    assert [each.name for each in client.search_registered_models(order_by=["name DESC"], max_results=1)] == ["roses"]
    versions = client.search_model_versions("name = 'iris'", order_by=["version_number ASC"])
    assert [each.version for each in versions] == ["1", "2", "3"]
    assert len(client.search_model_versions(f"run_id = '{run.info.run_id}'")) == 5
    client.rename_registered_model("roses", "tulips")
    refused("RESOURCE_DOES_NOT_EXIST", lambda: client.get_registered_model("roses"))
    client.delete_registered_model("tulips")
    refused("RESOURCE_DOES_NOT_EXIST", lambda: client.get_registered_model("tulips"))
    client.delete_model_version("iris", "3")
    refused("RESOURCE_DOES_NOT_EXIST", lambda: client.get_model_version("iris", "3"))
    assert str(mlflow.register_model(logged.model_uri, "iris").version) == "4"
    for source in ("/etc/passwd", "file:///etc", "s3://bucket/x", "http://host/x", "mlflow-artifacts:/../x", "a#/../b"):
        refused("INVALID_PARAMETER_VALUE", lambda source=source: client.create_model_version("iris", source))


def stages(client: MlflowClient, model: LogisticRegression) -> None:
    client.transition_model_version_stage("iris", "1", "Production")
    client.transition_model_version_stage("iris", "2", "production", archive_existing_versions=True)
    assert client.get_model_version("iris", "1").current_stage == "Archived"
    assert [each.version for each in client.get_latest_versions("iris", ["Production"])] == ["2"]
    assert {each.current_stage for each in client.get_latest_versions("iris")} == {"None", "Production", "Archived"}
    rows, _ = iris()
    assert (mlflow.sklearn.load_model("models:/iris/Production").predict(rows) == model.predict(rows)).all()
    refused("INVALID_PARAMETER_VALUE", lambda: client.transition_model_version_stage("iris", "1", "Nowhere"))


def copies(client: MlflowClient, rows: pandas.DataFrame, model: LogisticRegression) -> None:
    copied = client.copy_model_version("models:/iris/1", "copy")
    assert (str(copied.version), copied.source) == ("1", "models:/iris/1")
    again = client.copy_model_version("models:/copy/1", "copy")
    assert again.run_id == client.get_model_version("iris", "1").run_id
    assert (mlflow.sklearn.load_model("models:/copy/2").predict(rows) == model.predict(rows)).all()


@part
def autolog(folder: pathlib.Path) -> None:
    mlflow.set_experiment("autolog")
    rows, kinds = iris()
    mlflow.sklearn.autolog()
    with mlflow.start_run() as run:
        LogisticRegression(max_iter=300).fit(rows, kinds)
    found = mlflow.get_run(run.info.run_id)
    assert found.data.params["max_iter"] == "300" and found.data.metrics["training_accuracy_score"] > 0.9
    assert found.outputs.model_outputs and found.inputs.dataset_inputs
    model = mlflow.sklearn.load_model(f"models:/{found.outputs.model_outputs[0].model_id}")
    assert (model.predict(rows) == kinds).mean() > 0.9
    assert "training_confusion_matrix.png" in [each.path for each in MlflowClient().list_artifacts(run.info.run_id)]


@part
def measured(folder: pathlib.Path) -> None:
    """What ratoon's client measured of a model; the test has logged it."""
    home = mlflow.get_experiment_by_name("measured").experiment_id
    (model,) = mlflow.search_logged_models([home], output_format="list")
    told = {(each.key, each.dataset_name, each.dataset_digest): (each.value, each.step) for each in model.metrics}
    assert told == {
        ("auc", "wine", "0a1b"): (0.7, 1),
        ("auc", "wine", "ff00"): (0.6, 2),
        ("loss", None, None): (0.1, 0),
    }, told
    assert {each.run_id for each in model.metrics} == {model.source_run_id}
    run = mlflow.get_run(model.source_run_id)
    assert run.data.metrics == {"auc": 0.6, "loss": 0.1}
    assert {each.dataset.digest for each in run.inputs.dataset_inputs} == {"0a1b", "ff00"}
    found = mlflow.search_logged_models([home], filter_string="metrics.auc > 0.5", output_format="list")
    assert [each.model_id for each in found] == [model.model_id]
    for digest, least, wanted in (("0a1b", 0.65, 1), ("ff00", 0.65, 0), ("ff00", 0.55, 1), ("none", 0.0, 0)):
        found = mlflow.search_logged_models(
            [home],
            filter_string=f"metrics.auc > {least}",
            datasets=[{"dataset_name": "wine", "dataset_digest": digest}],
            order_by=[{"field_name": "metrics.auc", "ascending": False, "dataset_name": "wine"}],
            output_format="list",
        )
        assert len(found) == wanted, (digest, least, found)
