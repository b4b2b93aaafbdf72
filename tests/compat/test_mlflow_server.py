"""ratoon's client against MLflow's own server: the same session as against ratoon's, as far as that server goes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ratoon.entities import Dataset, LifecycleStage, ModelOutput, Query, RunBatch, RunStatus, ViewType
from ratoon.errors import AlreadyExists, Conflict, InvalidInput, NotFound, PromotionRefused, StoreUnavailable
from ratoon.manager import make_manager
from ratoon.registry.contender import MetricRule
from ratoon.registry.promotion import promote, rollback, set_alias
from ratoon.tracking.client import Client
from ratoon.tracking.models import load_model, resolve_version

from .conftest import MlflowServer
from .test_mlflow_client import log_measured

PLUGINS = (
    "ratoon.stores.rest.plugin",
    "ratoon.artifacts.plugin",
    "ratoon.models.flavors.python_function",
    "ratoon.models.flavors.sklearn",
    "ratoon.registry.gates.metrics",
)

pytestmark = pytest.mark.slow


@pytest.fixture
def client(mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    (tmp_path / ".ratoon").mkdir()
    monkeypatch.chdir(tmp_path)
    manager = make_manager(builtins=PLUGINS, installed=False)
    return Client(manager=manager, tracking_uri=mlflow_server.uri, user="ada")


def test_a_run_and_everything_that_it_logs(client: Client) -> None:
    with client.start_run(experiment="session", run_name="first", tags={"team": "cellar"}) as run:
        run.log_params({f"p{number}": number for number in range(250)})
        for step in range(2500):
            run.log_metric("loss", 1 / (step + 1), step)
        run.log_metric("odd", float("nan"))
        run.log_input(Dataset(name="wine", digest="0a1b", source_type="local", source="wine.csv"), "training")
        run.log_text("Größe", "notes/a.txt")
        run.log_artifact(__file__, "code")
    found = client.tracking.get_run(run.run_id)
    assert (found.status, found.run_name, found.user_id) == (RunStatus.FINISHED, "first", "ada")
    assert found.params == {f"p{number}": str(number) for number in range(250)}
    assert (found.metrics["loss"].step, str(found.metrics["odd"].value)) == (2499, "nan")
    assert found.tags["team"] == "cellar"
    assert [each.dataset.name for each in found.inputs] == ["wine"]
    history = client.tracking.metric_history(run.run_id, "loss")
    assert list(history.steps) == list(range(2500))
    assert history.values[9] == 0.1
    sample = client.tracking.metric_sample(run.run_id, "loss", 100)
    assert len(sample) <= 100 and (sample.steps[0], sample.steps[-1]) == (0, 2499)
    root = f"{found.experiment_id}/{run.run_id}/artifacts"
    assert b"".join(client.artifacts.read(f"{root}/notes/a.txt")).decode() == "Größe"
    assert [each.path for each in client.artifacts.list(root)] == ["code", "notes"]
    with pytest.raises(NotFound):
        list(client.artifacts.read(f"{root}/nothing"))


def test_a_param_is_written_once_and_the_refusal_names_both_values(client: Client) -> None:
    run = client.start_run(experiment="session")
    client.tracking.log_batch(RunBatch(run_id=run.run_id, params={"depth": "3"}))
    with pytest.raises(InvalidInput, match="depth.*'3'.*'4'"):
        client.tracking.log_batch(RunBatch(run_id=run.run_id, params={"depth": "4"}))
    run.end()


def test_a_run_is_resumed_deleted_and_restored(client: Client) -> None:
    with client.start_run(experiment="session") as run:
        run.log_metric("loss", 1.0, 1)
    with client.start_run(run_id=run.run_id) as again:
        again.log_metric("loss", 0.5, 2)
    store = client.tracking
    assert list(store.metric_history(run.run_id, "loss").steps) == [1, 2]
    store.move_run(run.run_id, LifecycleStage.DELETED)
    assert store.get_run(run.run_id).lifecycle_stage == LifecycleStage.DELETED
    deleted = store.search_runs([run.experiment_id], Query(view=ViewType.DELETED_ONLY)).items
    assert [each.run_id for each in deleted] == [run.run_id]
    store.move_run(run.run_id, LifecycleStage.ACTIVE)
    with pytest.raises(NotFound):
        store.get_run("0" * 32)


def test_runs_are_searched_page_by_page(client: Client) -> None:
    for number in range(5):
        with client.start_run(experiment="searched", run_name=f"r{number}") as run:
            run.log_metric("auc", number / 10)
    query = Query(filter="metrics.auc > 0.05", order_by=("metrics.auc DESC",), limit=3)
    first = client.tracking.search_runs([run.experiment_id], query)
    assert [each.run_name for each in first.items] == ["r4", "r3", "r2"]
    rest = client.tracking.search_runs(
        [run.experiment_id], Query(filter=query.filter, order_by=query.order_by, limit=3, page_token=first.next_token)
    )
    assert [each.run_name for each in rest.items] == ["r1"]
    assert {"r0", "r4"} <= {each.run_name for each in client.tracking.search_runs().items}
    with pytest.raises(InvalidInput):
        client.tracking.search_runs([run.experiment_id], Query(filter="nonsense"))


def test_experiments(client: Client) -> None:
    store = client.tracking
    made = store.create_experiment("cellar", {"team": "a", "gone": "b"})
    with pytest.raises(AlreadyExists, match="'cellar' exists already") as raised:
        store.create_experiment("cellar")
    assert "SQL" not in str(raised.value)
    store.tag_experiment(made.experiment_id, {"team": "c", "gone": None})
    store.rename_experiment(made.experiment_id, "attic")
    found = store.find_experiment("attic")
    assert found is not None and found.tags == {"team": "c"}
    assert store.find_experiment("cellar") is None
    store.move_experiment(made.experiment_id, LifecycleStage.DELETED)
    assert store.get_experiment(made.experiment_id).lifecycle_stage == LifecycleStage.DELETED
    assert made.experiment_id not in {each.experiment_id for each in store.search_experiments().items}
    store.move_experiment(made.experiment_id, LifecycleStage.ACTIVE)


def test_models_are_logged_registered_promoted_and_loaded(client: Client) -> None:
    features = np.random.default_rng(7).random((60, 3))
    model = LogisticRegression().fit(features, features[:, 0] > 0.5)
    rule = MetricRule(metric="auc")
    for auc in (0.8, 0.9, 0.7):
        with client.start_run(experiment="models") as run:
            run.log_metric("auc", auc)
            made = run.log_model(model, input_example=features[:3], register_as="wine")
        assert client.tracking.get_run(run.run_id).model_outputs == (ModelOutput(model_id=made.model_id),)
        assert [each.model_id for each in client.tracking.run_models(run.run_id)] == [made.model_id]
    assert client.registry.get_registered_model("wine").latest_version == 3
    assert client.registry.get_version("wine", 3).model_id == made.model_id
    promote(client, "wine", 1, rules=[rule])
    promote(client, "wine", 2, rules=[rule])
    with pytest.raises(PromotionRefused):
        promote(client, "wine", 3, rules=[rule])
    champion = resolve_version(client, "models:/wine@champion")
    assert champion is not None and champion.version == 2
    expected = list(model.predict(features[:5]))
    for uri in ("models:/wine@champion", "models:/wine/1", f"models:/{made.model_id}", f"runs:/{run.run_id}/model"):
        assert list(load_model(uri, client=client).predict(features[:5])) == expected


def test_what_the_server_has_no_history_for_is_said_clearly(client: Client) -> None:
    client.registry.create_registered_model("beer", "how bitter", {"a": "b", "c": "d"})
    with client.start_run(experiment="models") as run:
        model = run.log_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), register_as="beer")
    set_alias(client, "beer", "champion", 1)
    with pytest.raises(InvalidInput, match="history of alias 'champion'.*MLflow's own"):
        rollback(client, "beer")
    with pytest.raises(NotFound, match="'nobody'.*champion by version 1"):
        client.registry.version_by_alias("beer", "nobody")
    set_alias(client, "beer", "champion", None)
    assert client.registry.get_registered_model("beer").aliases == {}
    set_alias(client, "beer", "old", 1)
    with pytest.raises(Conflict, match="held by version 1"):
        client.registry.move_alias(set_alias(client, "beer", "new", 1))
    version = client.registry.update_version("beer", 1, description="fine", stage="Staging", tags={"x": "y"})
    assert (version.description, version.current_stage, version.tags) == ("fine", "Staging", {"x": "y"})
    renamed = client.registry.update_registered_model("beer", new_name="ale", tags={"a": None})
    assert (renamed.name, renamed.tags, renamed.description) == ("ale", {"c": "d"}, "how bitter")
    assert client.registry.search_versions(Query(filter="name = 'ale'")).items[0].model_id == model.model_id
    client.registry.delete_version("ale", 1)
    client.registry.delete_registered_model("ale")
    with pytest.raises(NotFound):
        client.registry.get_registered_model("ale")


def test_a_model_is_measured_on_datasets(client: Client) -> None:
    model_id = log_measured(client)
    found = client.tracking.get_model(model_id).metrics
    assert {(each.key, each.dataset_digest, each.value, each.step) for each in found} == {
        ("auc", "0a1b", 0.7, 1),
        ("auc", "ff00", 0.6, 2),
        ("loss", None, 0.1, 0),
    }


def test_what_the_server_does_not_keep_is_refused_and_nothing_else_is(client: Client) -> None:
    run = client.start_run(experiment="session")
    for step, value in enumerate((1.0, float("inf"), 0.5)):
        run.log_metric("loss", value, step)
    run.log_metric("auc", 0.9)
    with pytest.raises(InvalidInput, match="'loss' is inf at step 1.*no infinite values"):
        run.end()
    assert list(client.tracking.metric_history(run.run_id, "loss").values) == [1.0, 0.5]
    found = client.tracking.get_run(run.run_id)
    assert (found.metrics["auc"].value, found.status) == (0.9, RunStatus.FINISHED)


def test_the_server_may_go_away_in_the_middle_of_a_run(client: Client, mlflow_server: MlflowServer) -> None:
    with client.start_run(experiment="outage") as run:
        for step in range(30):
            if step == 10:
                run.flush()
                mlflow_server.kill()
            if step == 15:
                with pytest.raises(StoreUnavailable, match="gives runs ids of its own"):
                    client.start_run(experiment="outage")
            if step == 20:
                mlflow_server.start()
            run.log_metric("loss", 1.0, step)
            if step % 5 == 0:
                run.flush()
    assert client.outbox is not None
    end = time.monotonic() + 60
    while client.outbox.spool.pending:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert list(client.tracking.metric_history(run.run_id, "loss").steps) == list(range(30))
    assert client.tracking.get_run(run.run_id).status == RunStatus.FINISHED
