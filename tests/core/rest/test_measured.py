"""What was measured of a model, on which dataset: from the run that logs it to the model that tells it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import ratoon
from ratoon.entities import Dataset, DatasetInput, Model, ModelStatus
from ratoon.errors import InvalidInput, NotFound
from ratoon.manager import make_manager
from ratoon.tracking import fluent
from ratoon.tracking.client import Client
from ratoon.tracking.run import ActiveRun

from .conftest import Server

PLUGINS = ("ratoon.stores.rest.plugin", "ratoon.stores.sql.plugin", "ratoon.artifacts.plugin")
TRAIN = Dataset(name="wine", digest="0a1b", source_type="local", source="train.csv")
TEST = Dataset(name="wine", digest="ff00", source_type="local", source="test.csv")


@pytest.fixture(params=["sqlite", pytest.param("server", marks=pytest.mark.slow)])
def client(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    (tmp_path / ".ratoon").mkdir()
    monkeypatch.chdir(tmp_path)
    if request.param == "server":
        uri = request.getfixturevalue("server").uri
    else:
        uri = request.getfixturevalue("uri")
    return Client(manager=make_manager(builtins=PLUGINS, installed=False), tracking_uri=uri, user="ada")


def model_in(run: ActiveRun) -> str:
    """A model of a run; it has no files."""
    home = run.client.tracking.get_experiment(run.experiment_id)
    model_id = f"m-{run.run_id}"
    model = Model(
        model_id=model_id,
        experiment_id=run.experiment_id,
        name="model",
        source_run_id=run.run_id,
        artifact_uri=f"{home.artifact_location}/models/{model_id}/artifacts",
        status=ModelStatus.READY,
        creation_timestamp=1,
        last_updated_timestamp=1,
    )
    return run.client.tracking.create_model(model).model_id


def measured(client: Client, model_id: str) -> dict[tuple[str, str | None, str | None], tuple[float, int]]:
    found = client.tracking.get_model(model_id).metrics
    return {(each.key, each.dataset_name, each.dataset_digest): (each.value, each.step) for each in found}


def test_a_metric_belongs_to_a_model_and_a_dataset(client: Client) -> None:
    with client.start_run() as run:
        model_id = model_in(run)
        for step, auc in enumerate((0.5, 0.7)):
            run.log_metric("auc", auc, step, model_id=model_id, dataset=TRAIN)
        run.log_metrics({"auc": 0.6, "loss": 0.1}, step=1, timestamp=5, model_id=model_id, dataset=TEST)
        run.log_metric("auc", 0.65, 3, model_id=model_id)
        run.log_metric("auc", 0.66, 4)
    assert measured(client, model_id) == {
        ("auc", "wine", "0a1b"): (0.7, 1),
        ("auc", "wine", "ff00"): (0.6, 1),
        ("loss", "wine", "ff00"): (0.1, 1),
        ("auc", None, None): (0.65, 3),
    }
    found = client.tracking.get_run(run.run_id)
    assert found.metrics["auc"].value == 0.66
    assert len(client.tracking.metric_history(run.run_id, "auc")) == 5
    assert {each.dataset.digest for each in found.inputs} == {"0a1b", "ff00"}


def test_a_dataset_that_the_run_has_used_gets_no_second_role(client: Client) -> None:
    with client.start_run() as run:
        run.log_input(TRAIN, "training")
        for _ in range(2):
            run.log_metric("auc", 0.5, model_id=model_in(run) if not _ else f"m-{run.run_id}", dataset=TRAIN)
    with client.start_run(run_id=run.run_id) as again:
        again.log_metric("auc", 0.6, 1, model_id=f"m-{run.run_id}", dataset=TRAIN)
    wanted = DatasetInput(dataset=TRAIN, tags={"mlflow.data.context": "training"})
    assert client.tracking.get_run(run.run_id).inputs == (wanted,)


def test_a_dataset_without_a_model_is_an_input_of_the_run(client: Client) -> None:
    with client.start_run() as run:
        run.log_metric("auc", 0.5, dataset=TRAIN)
    found = client.tracking.get_run(run.run_id)
    assert (found.metrics["auc"].value, [each.dataset for each in found.inputs]) == (0.5, [TRAIN])


def test_a_model_that_nobody_logged_takes_no_other_value_with_it(client: Client) -> None:
    unknown = f"m-{'0' * 32}"
    with pytest.raises(NotFound, match=unknown), client.start_run() as run:
        model_id = model_in(run)
        run.log_metric("loss", 0.1)
        run.log_metric("auc", 0.5, model_id=unknown)
        run.log_metric("auc", 0.6, 1, model_id=model_id)
        run.log_param("depth", 3)
        run.set_tag("note", "x")
    found = client.tracking.get_run(run.run_id)
    assert (found.metrics["loss"].value, found.metrics["auc"].value) == (0.1, 0.6)
    assert (found.params, found.tags["note"]) == ({"depth": "3"}, "x")
    assert measured(client, model_id) == {("auc", None, None): (0.6, 1)}


def test_what_is_no_id_and_no_dataset_is_refused_where_it_is_logged(client: Client) -> None:
    with client.start_run() as run:
        for wrong in ("m-" + "0" * 40, "a\0b", 3):
            with pytest.raises(InvalidInput, match="model id of a metric"):
                run.log_metric("auc", 0.5, model_id=wrong, dataset=TRAIN)  # type: ignore[arg-type]
    found = client.tracking.get_run(run.run_id)
    assert (found.metrics, found.inputs) == ({}, ())


@pytest.mark.slow
def test_what_is_measured_in_an_outage_arrives(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    (tmp_path / ".ratoon").mkdir()
    monkeypatch.chdir(tmp_path)
    client = Client(manager=make_manager(builtins=PLUGINS, installed=False), tracking_uri=server.uri, user="ada")
    with client.start_run() as run:
        run.flush()
        server.kill()
        model_id = model_in(run)
        run.log_metric("auc", 0.5, 1, model_id=model_id, dataset=TRAIN)
    server.start()
    assert client.outbox is not None
    spool = client.outbox.spool
    wait_until(lambda: not spool.pending)
    assert measured(client, model_id) == {("auc", "wine", "0a1b"): (0.5, 1)}


def test_the_functions_take_a_model_and_a_dataset(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fluent, "_chosen", {"tracking_uri": client.settings.tracking_uri})
    with ratoon.start_run() as run:
        model_id = model_in(run)
        ratoon.log_metric("auc", 0.5, model_id=model_id, dataset=TEST)
        ratoon.log_metrics({"loss": 0.1}, model_id=model_id, dataset=TEST)
    assert set(measured(client, model_id)) == {("auc", "wine", "ff00"), ("loss", "wine", "ff00")}
