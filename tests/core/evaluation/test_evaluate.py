"""``ratoon.evaluate`` as a whole: what it returns, what it keeps, and who finds that."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

import ratoon
from ratoon.entities import Dataset, RunStatus
from ratoon.errors import InvalidInput, MissingExtra, NotFound
from ratoon.evaluation.describing import content_digest
from ratoon.evaluation.evaluating import evaluate
from ratoon.evaluation.values import Evaluation, Task
from ratoon.models.saving import save_model
from ratoon.registry.contender import EVALUATION_RUN, MetricRule, contender_of
from ratoon.registry.policy import Policy
from ratoon.registry.predictions import read_predictions
from ratoon.registry.promotion import promote
from ratoon.registry.segments import segment_key
from ratoon.tracking.client import Client
from ratoon.tracking.locations import artifact_key
from ratoon.tracking.models import load_model

FEATURES = ["mean radius", "mean texture", "mean smoothness"]
BINARY_FIGURES = {"confusion_matrix", "roc", "precision_recall", "calibration"}

MakeClient = Callable[..., Client]


def kept(client: Client, run_id: str, path: str) -> bytes:
    run = client.tracking.get_run(run_id)
    return b"".join(client.artifacts.read(f"{artifact_key(run.artifact_uri)}/{path}"))


def test_a_binary_task_gets_scikit_learns_metrics(registered: Client, test_rows: pd.DataFrame, good: Pipeline) -> None:
    found = evaluate("models:/tissue/2", test_rows, "benign", client=registered, figures=False)
    truth, said = test_rows["benign"], good.predict(test_rows[FEATURES])
    likely = good.predict_proba(test_rows[FEATURES])[:, 1]
    assert found.metrics == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, said),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
            "f1_macro": metrics.f1_score(truth, said, average="macro"),
            "matthews_corrcoef": metrics.matthews_corrcoef(truth, said),
            "log_loss": metrics.log_loss(truth, likely),
            "f1": metrics.f1_score(truth, said),
            "precision": metrics.precision_score(truth, said),
            "recall": metrics.recall_score(truth, said),
            "brier_score": metrics.brier_score_loss(truth, likely),
            "roc_auc": metrics.roc_auc_score(truth, likely),
            "average_precision": metrics.average_precision_score(truth, likely),
        }
    )
    assert (found.task, found.model, found.rows) == (Task.BINARY, "models:/tissue/2", len(test_rows))
    assert (found.classes, found.positive, found.notes) == (("0", "1"), "1", ())


def test_everything_is_kept_with_a_run(registered: Client, test_rows: pd.DataFrame) -> None:
    found = evaluate("models:/tissue/2", test_rows, "benign", segments=["size"], client=registered)
    run = registered.tracking.get_run(found.run_id)
    values = {key: metric.value for key, metric in run.metrics.items()}
    assert (run.status, run.run_name) == (RunStatus.FINISHED, "evaluate models:/tissue/2")
    assert found.metrics.items() <= values.items()
    for segment in found.segments:
        assert values[segment_key("size", segment.value, "rows")] == segment.rows
        assert values[segment_key("size", segment.value, "accuracy")] == segment.metrics["accuracy"]
    (given,) = run.inputs
    assert (given.dataset.name, given.dataset.digest) == (found.dataset, found.digest)
    assert given.tags == {"mlflow.data.context": "evaluation"}
    assert json.loads(given.dataset.profile or "") == {"num_rows": len(test_rows)}
    assert set(found.artifacts) == {"predictions", "predictions_description", "evaluation"} | BINARY_FIGURES
    for name in BINARY_FIGURES:
        assert kept(registered, run.run_id, found.artifacts[name]).startswith(b"\x89PNG")
    assert json.loads(kept(registered, run.run_id, found.artifacts["evaluation"])) == found.to_dict()


def test_metrics_are_those_of_the_model_on_the_data(registered: Client, test_rows: pd.DataFrame) -> None:
    found = evaluate("models:/tissue@champion", test_rows, "benign", client=registered, figures=False)
    version = registered.registry.get_version("tissue", 1)
    assert found.model == "models:/tissue/1"
    measured = {each.key: each for each in registered.tracking.get_model(version.model_id or "").metrics}
    assert measured["accuracy"].value == found.metrics["accuracy"]
    assert (measured["accuracy"].dataset_digest, measured["accuracy"].run_id) == (found.digest, found.run_id)
    assert registered.tracking.get_run(found.run_id).model_inputs == (version.model_id,)


def test_predictions_are_kept_under_the_labels_of_the_rows(
    registered: Client, test_rows: pd.DataFrame, good: Pipeline
) -> None:
    found = evaluate("models:/tissue/2", test_rows, "benign", client=registered, figures=False)
    stored = read_predictions(registered, registered.tracking.get_run(found.run_id))
    assert stored.rows[0] == "patient 300" and stored.digest == found.digest
    assert list(map(int, stored.predictions)) == good.predict(test_rows[FEATURES]).tolist()
    assert list(map(int, stored.targets)) == test_rows["benign"].tolist()
    assert set(stored.probabilities) == {"0", "1"}


def test_a_version_names_the_run_that_evaluated_it(registered: Client, test_rows: pd.DataFrame) -> None:
    found = evaluate("models:/tissue/2", test_rows, "benign", client=registered, figures=False)
    version = registered.registry.get_version("tissue", 2)
    assert version.tags[EVALUATION_RUN] == found.run_id != version.run_id
    assert contender_of(registered, "tissue", 2).metrics["roc_auc"] == found.metrics["roc_auc"]


def test_candidate_and_champion_are_compared_on_the_same_rows(registered: Client, test_rows: pd.DataFrame) -> None:
    champion = "models:/tissue@champion"
    found = evaluate(
        "models:/tissue/2", test_rows, "benign", segments=["size"], champion=champion, client=registered, figures=False
    )
    comparison = found.comparison
    assert comparison is not None and comparison.champion == "models:/tissue/1"
    accuracy, loss = comparison.metrics["accuracy"], comparison.metrics["log_loss"]
    assert accuracy.candidate == found.metrics["accuracy"]
    assert accuracy.difference is not None and accuracy.difference > 0 and accuracy.better
    assert loss.difference is not None and loss.difference < 0 and loss.better
    assert {each.value for each in comparison.segments} == {"small", "middle", "large"}
    table = json.loads(kept(registered, found.run_id, found.artifacts["comparison"]))
    assert table["columns"][:3] == ["segment", "rows", "metric"]
    assert [None, None, "accuracy", accuracy.candidate, accuracy.champion, accuracy.difference, True] in table["data"]
    run = registered.tracking.get_run(found.run_id)
    assert run.metrics["difference/accuracy"].value == accuracy.difference
    held = registered.tracking.get_run(comparison.run_id)
    assert held.tags["mlflow.parentRunId"] == found.run_id and held.status == RunStatus.FINISHED
    assert held.metrics["accuracy"].value == accuracy.champion
    assert registered.registry.get_version("tissue", 1).tags[EVALUATION_RUN] == comparison.run_id


def test_the_gates_promote_on_this_evidence(make_client: MakeClient, train: pd.DataFrame, tissue: pd.DataFrame) -> None:
    gates = ("segments", "significance")
    client = make_client(*(importlib.import_module(f"ratoon.registry.gates.{each}") for each in gates))
    forest = RandomForestClassifier(20, random_state=0)
    for columns in (["mean texture"], FEATURES):
        with client.start_run() as run:
            model = forest.fit(train[columns], train["benign"])
            run.log_model(model, input_example=train[columns].head(), register_as="tissue")
    ratoon.set_alias(client, "tissue", "champion", 1)
    policy = Policy(
        models={
            "tissue": {
                "champion": {
                    "significance": {"metric": "log_loss"},
                    "segments": [{"metric": "accuracy", "tolerance": 0.05, "minimum_rows": 30}],
                }
            }
        }
    )
    rows = tissue.iloc[300:]
    evaluate(
        "models:/tissue/2", rows, "benign", segments=["size"], champion="models:/tissue/1", client=client, figures=False
    )
    promotion = promote(client, "tissue", 2, policy=policy, rules=[MetricRule(metric="roc_auc", minimum=0.9)])
    assert promotion.passed and len(promotion.verdicts) == 4
    assert client.registry.get_registered_model("tissue").aliases == {"champion": 2}


def test_the_first_candidate_has_no_champion(
    registered: Client, test_rows: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="ratoon"):
        found = evaluate(
            "models:/tissue/2", test_rows, "benign", champion="models:/tissue@best", client=registered, figures=False
        )
    assert found.comparison is None and "there is no champion to compare with" in caplog.text
    for gone in ("models:/other@champion", "models:/tissue/9", "runs:/" + "0" * 32 + "/model"):
        with pytest.raises(NotFound):
            evaluate("models:/tissue/2", test_rows, "benign", champion=gone, client=registered)


def test_a_run_that_is_given_or_active_is_logged_to_and_goes_on(
    registered: Client, test_rows: pd.DataFrame, good: Pipeline, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registered.start_run() as run:
        found = evaluate(good, test_rows, "benign", run=run, figures=False)
        assert found.run_id == run.run_id
        assert registered.tracking.get_run(run.run_id).status == RunStatus.RUNNING
    monkeypatch.chdir(tmp_path)
    with ratoon.start_run() as active:
        assert ratoon.evaluate(good, test_rows, "benign", figures=False).run_id == active.run_id
        # Another place of work has nothing to do with it.
        assert evaluate(good, test_rows, "benign", client=registered, figures=False).run_id != active.run_id
    active.client.close()


def test_nothing_is_recorded_of_an_evaluation_that_fails(registered: Client, test_rows: pd.DataFrame) -> None:
    before = len(registered.tracking.search_runs().items)
    with pytest.raises(InvalidInput, match="column 'mean radius' of the model's input is missing"):
        evaluate("models:/tissue/2", test_rows.drop(columns=["mean radius"]), "benign", client=registered)

    def broken(data: pd.DataFrame) -> Any:
        raise ZeroDivisionError("no rows today")

    for models in ({"model": broken}, {"model": "models:/tissue/2", "champion": broken}):
        with pytest.raises(InvalidInput, match=r"broken' cannot predict this data \(ZeroDivisionError: no rows"):
            evaluate(data=test_rows, targets="benign", client=registered, **models)
    assert len(registered.tracking.search_runs().items) == before
    assert EVALUATION_RUN not in registered.registry.get_version("tissue", 2).tags


def test_a_model_may_be_named_loaded_or_given(
    registered: Client, test_rows: pd.DataFrame, good: Pipeline, tmp_path: Path
) -> None:
    version = registered.registry.get_version("tissue", 2)
    folder = tmp_path / "model"
    save_model(good, folder, manager=registered.manager)
    loaded = load_model("models:/tissue/2", client=registered)
    logged = f"models:/{version.model_id}"
    models: dict[str, Any] = {
        "models:/tissue/2": "models:/tissue",
        logged: loaded,
        f"runs:/{version.run_id}/model": f"runs:/{version.run_id}/model",
        str(folder): str(folder),
        "Pipeline": good,
        "Pipeline.predict": good.predict,
    }
    losses = set()
    for name, model in models.items():
        # Without a signature, and without the names of the features, the columns of segments must not get in its way.
        rows = test_rows[[*FEATURES, "benign"]] if name == "Pipeline.predict" else test_rows
        found = evaluate(model, rows, "benign", client=registered, figures=False)
        assert found.model.removeprefix(f"{Pipeline.predict.__module__}.") == name
        losses.add(found.metrics.get("log_loss"))
        known = registered.tracking.get_run(found.run_id).model_inputs
        assert known == ((version.model_id,) if ":/" in name else ())
    assert len(losses - {None}) == 1
    with pytest.raises(NotFound):
        evaluate(f"runs:/{version.run_id}/other", test_rows, "benign", client=registered)
    with pytest.raises(InvalidInput, match="give the folder that a model was saved in"):
        evaluate(str(tmp_path / "gone"), test_rows, "benign", client=registered)


def test_a_multiclass_task(client: Client) -> None:
    data, growers = load_wine(return_X_y=True, as_frame=True)
    names = growers.map({0: "Rossi", 1: "Bianchi", 2: "Verdi"})
    forest = RandomForestClassifier(10, max_depth=2, random_state=0).fit(data[::2], names[::2])
    found = evaluate(forest, data[1::2], names[1::2], client=client)
    said, likely = forest.predict(data[1::2]), forest.predict_proba(data[1::2])
    assert (found.task, found.positive, found.model) == (Task.MULTICLASS, None, "RandomForestClassifier")
    assert found.classes == ("Bianchi", "Rossi", "Verdi")
    truth = names[1::2]
    assert found.metrics == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, said),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
            "f1_macro": metrics.f1_score(truth, said, average="macro"),
            "f1_weighted": metrics.f1_score(truth, said, average="weighted"),
            "precision_macro": metrics.precision_score(truth, said, average="macro"),
            "recall_macro": metrics.recall_score(truth, said, average="macro"),
            "matthews_corrcoef": metrics.matthews_corrcoef(truth, said),
            "log_loss": metrics.log_loss(truth, likely),
            "roc_auc_ovr": metrics.roc_auc_score(truth, likely, multi_class="ovr"),
        }
    )
    assert set(found.artifacts) >= BINARY_FIGURES


def test_a_regression(client: Client) -> None:
    data, targets = load_diabetes(return_X_y=True, as_frame=True)
    ridge = Ridge().fit(data[::2], targets[::2])
    weights = np.arange(len(data[1::2]))
    found = evaluate(ridge, data[1::2], targets[1::2], weights=weights, client=client)
    said = ridge.predict(data[1::2])
    options: dict[str, Any] = {"y_true": targets[1::2], "y_pred": said, "sample_weight": weights}
    assert found.task == Task.REGRESSION
    assert found.metrics == pytest.approx(
        {
            "mean_absolute_error": metrics.mean_absolute_error(**options),
            "median_absolute_error": metrics.median_absolute_error(**options),
            "mean_squared_error": metrics.mean_squared_error(**options),
            "root_mean_squared_error": metrics.root_mean_squared_error(**options),
            "max_error": metrics.max_error(targets[1::2], said),
            "r2": metrics.r2_score(**options),
            "mean_absolute_percentage_error": metrics.mean_absolute_percentage_error(**options),
        }
    )
    assert "residuals" in found.artifacts and found.classes == ()


def test_a_dataset_that_is_recorded_elsewhere_keeps_its_digest(client: Client, test_rows: pd.DataFrame) -> None:
    known = Dataset(name="tissue", digest="0a1b2c3d", source_type="kedro", source="{}")
    found = evaluate(lambda data: data["benign"], test_rows, test_rows["benign"], dataset=known, client=client)
    assert (found.dataset, found.digest) == ("tissue", "0a1b2c3d")
    assert client.tracking.get_run(found.run_id).inputs[0].dataset == known


def test_a_digest_is_the_contents_and_not_the_labels(test_rows: pd.DataFrame) -> None:
    data, targets = test_rows[FEATURES], test_rows["benign"].to_numpy()
    digest = content_digest(data, targets)
    assert content_digest(data.reset_index(drop=True), targets) == digest
    assert content_digest(data, 1 - targets) != digest
    assert content_digest(data.iloc[::-1], targets) != digest
    assert content_digest(data.rename(columns={"mean radius": "radius"}), targets) != digest
    assert content_digest(data.to_numpy().reshape(-1, 1), targets) != content_digest(data.to_numpy(), targets)
    lists = pd.DataFrame({"words": [["a"], ["b"]]})
    assert content_digest(lists, targets[:2]) != content_digest(lists[::-1], targets[:2])


def test_figures_need_matplotlib_only_where_they_are_demanded(
    client: Client, test_rows: pd.DataFrame, good: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    found = evaluate(good, test_rows, "benign", client=client)
    assert not BINARY_FIGURES & found.artifacts.keys()
    with pytest.raises(MissingExtra, match=r"'matplotlib'; pip install 'ratoon\[evaluation\]'"):
        evaluate(good, test_rows, "benign", figures=True, client=client)


def test_what_is_no_finite_number_is_null_in_json() -> None:
    found = Evaluation(
        model="m",
        run_id="r",
        dataset="d",
        digest="0",
        rows=2,
        task=Task.REGRESSION,
        metrics={"r2": float("nan"), "max_error": float("inf"), "mean_absolute_error": 1.0},
    )
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["metrics"] == {"r2": None, "max_error": None, "mean_absolute_error": 1.0}
    assert (plain["task"], plain["comparison"]) == ("regression", None)


def test_models_with_different_tasks_are_not_compared(client: Client, test_rows: pd.DataFrame, good: Pipeline) -> None:
    with pytest.raises(InvalidInput, match="the model's task is binary and the champion's is regression"):
        evaluate(
            good, test_rows, "benign", champion=Ridge().fit(test_rows[FEATURES], test_rows["benign"]), client=client
        )
