"""What models answer, in all the forms that libraries have: classes, probabilities, tables, tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.svm import SVC, LinearSVC

from ratoon.errors import InvalidInput
from ratoon.evaluation.evaluating import evaluate
from ratoon.evaluation.values import Evaluation, Task
from ratoon.registry.predictions import read_predictions
from ratoon.tracking.client import Client

FRAME = pd.DataFrame({"x": [0.1, 0.9, 0.4, 0.6, 0.2, 0.8]})
TRUE = np.array([0, 1, 1, 0, 0, 1])


def asked(client: Client, answer: Any, targets: Any = TRUE, **options: Any) -> Evaluation:
    """Evaluate a model that answers so."""
    return evaluate(lambda data: answer, FRAME, targets, client=client, figures=False, **options)


def test_fractions_are_the_probability_of_the_positive_class(client: Client) -> None:
    found = asked(client, FRAME["x"].to_numpy())
    assert (found.task, found.positive) == (Task.BINARY, "1")
    assert found.metrics["accuracy"] == pytest.approx(4 / 6)
    assert {"log_loss", "roc_auc", "brier_score"} <= found.metrics.keys()
    words = np.array(["no", "yes"])[TRUE]
    assert asked(client, FRAME["x"].to_numpy(), words).metrics == found.metrics
    other = asked(client, FRAME["x"].to_numpy(), words, pos_label="no")
    assert other.metrics["accuracy"] == pytest.approx(2 / 6)


def test_columns_are_the_probabilities_of_the_classes(client: Client) -> None:
    table = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]] * 2, dtype="float32")
    found = asked(client, table, [0, 1, 2, 0, 1, 1])
    assert (found.task, found.classes) == (Task.MULTICLASS, ("0", "1", "2"))
    assert found.metrics["accuracy"] == pytest.approx(5 / 6) and "log_loss" in found.metrics
    # The classes of text targets stand in order, and a class may be nowhere true if the others say which it is.
    assert asked(client, table, ["a", "b", "c", "a", "b", "b"]).metrics["accuracy"] == pytest.approx(5 / 6)
    assert asked(client, table, [0, 1, 1, 0, 1, 1]).classes == ("0", "1", "2")
    with pytest.raises(InvalidInput, match="3 columns and the targets have 2 classes; evaluate a function"):
        asked(client, table, ["a", "b", "b", "a", "b", "b"])
    with pytest.raises(InvalidInput, match="3 columns that are no probabilities"):
        asked(client, table * 5, [0, 1, 2, 0, 1, 1])


@pytest.mark.parametrize(
    "form",
    [
        lambda values: pd.DataFrame({"label": values}),
        lambda values: pd.Series(values),
        lambda values: {"label": values},
        lambda values: values.reshape(-1, 1),
        lambda values: values.tolist(),
        lambda values: values.astype(float),
        lambda values: values.astype(bool),
        lambda values: values.astype(object),
    ],
)
def test_classes_may_come_in_any_form(client: Client, form: Any) -> None:
    found = asked(client, form(TRUE))
    assert found.task == Task.BINARY
    assert found.metrics["accuracy"] == 1.0 and "log_loss" not in found.metrics


@pytest.mark.slow
def test_tensors_are_taken(client: Client) -> None:
    torch = pytest.importorskip("torch")
    likely = torch.tensor(FRAME["x"].to_numpy(), requires_grad=True)
    assert "roc_auc" in asked(client, likely).metrics


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([0, 1], "answered 2 times to 6 rows"),
        ({"label": TRUE, "score": TRUE}, "answers with 'label', 'score'; evaluate a function that returns one"),
        (np.zeros((6, 2, 2)), r"in the shape \(6, 2, 2\)"),
        (np.array(["a", "b"])[TRUE], "targets are numbers and it answers with texts"),
        (np.array([0, 1, None, 0, 1, 1], dtype=object), "it answered nothing, or NaN, to some rows"),
        (pd.Series([0, 1, None, 0, 1, 1], dtype="Int64"), "it answered nothing, or NaN, to some rows"),
    ],
)
def test_answers_that_cannot_be_used_are_refused(client: Client, answer: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        asked(client, answer)


def test_a_model_without_probabilities_is_ranked_by_its_decision_function(client: Client) -> None:
    for model in (SVC(), LinearSVC()):
        found = evaluate(model.fit(FRAME, TRUE), FRAME, TRUE, client=client)
        assert {"roc_auc", "average_precision"} <= found.metrics.keys()
        assert not {"log_loss", "brier_score"} & found.metrics.keys()
        assert "roc" in found.artifacts and "calibration" not in found.artifacts
        flipped = evaluate(model, FRAME, TRUE, pos_label=0, client=client, figures=False)
        assert flipped.metrics["roc_auc"] == pytest.approx(found.metrics["roc_auc"])


class HasBrokenProbabilities:
    classes_ = np.array([0, 1])

    def predict(self, data: Any) -> Any:
        return TRUE

    def predict_proba(self, data: Any) -> Any:
        raise ValueError("no such luck")


def test_probabilities_that_fail_leave_the_rest(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    found = evaluate(HasBrokenProbabilities(), FRAME, TRUE, client=client, figures=False)
    assert found.metrics["accuracy"] == 1.0 and "log_loss" not in found.metrics
    assert "has no predict_proba for this data (no such luck)" in caplog.text


def test_classes_that_the_model_does_not_know_are_told(client: Client) -> None:
    model = SVC().fit(FRAME, TRUE)
    found = evaluate(model, FRAME, [0, 1, 1, 0, 2, 2], client=client, figures=False)
    assert found.task == Task.MULTICLASS
    assert found.notes == ("the model does not know the class '2', which 2 of 6 rows have",)
    table = np.array([[0.9, 0.1], [0.2, 0.8]] * 3)

    class Probable:
        classes_ = np.array(["a", "b"])

        def predict(self, data: Any) -> Any:
            return self.classes_[table.argmax(axis=1)]

        def predict_proba(self, data: Any) -> Any:
            return table

    found = evaluate(Probable(), FRAME, ["a", "b", "a", "b", "c", "b"], client=client)
    assert found.metrics["log_loss"] > 5 and found.classes == ("a", "b", "c")
    stored = read_predictions(client, client.tracking.get_run(found.run_id))
    assert set(stored.probabilities["c"]) == {"0.0"}


def test_a_model_that_knows_more_classes_than_the_data_has_is_multiclass(client: Client) -> None:
    model = SVC().fit(FRAME, [0, 1, 2, 0, 1, 2])
    assert evaluate(model, FRAME, TRUE, client=client, figures=False).task == Task.MULTICLASS
    with pytest.raises(InvalidInput, match="task is binary and there are 3 classes"):
        evaluate(model, FRAME, TRUE, task="binary", client=client)


@pytest.mark.parametrize(
    ("targets", "answer", "task"),
    [
        ([0.5, 1.5, 2.5, 0.0, 1.0, 2.0], np.arange(6), Task.REGRESSION),
        ([3, 1, 2, 3, 1, 2], np.array([3, 1, 2, 3, 1, 1]), Task.MULTICLASS),
        ([3, 1, 2, 3, 1, 2], np.array([2.9, 1.2, 2.0, 3.0, 1.1, 1.7]), Task.REGRESSION),
        ([0, 1, 1, 0, 0, 1], np.array([0.4, 1.7, 1.2, 0.0, -0.4, 1.0]), Task.REGRESSION),
        ([True, False, True, False, True, True], TRUE.astype(bool), Task.BINARY),
        (pd.Categorical(["a", "b", "a", "b", "a", "a"]), ["a", "b", "a", "b", "a", "b"], Task.BINARY),
    ],
)
def test_the_task_is_told_from_targets_and_answers(client: Client, targets: Any, answer: Any, task: Task) -> None:
    assert asked(client, np.asarray(answer), targets).task == task


def test_counts_are_quantities(client: Client) -> None:
    counts = np.arange(50)
    frame = pd.DataFrame({"x": counts})
    assert evaluate(lambda data: counts, frame, counts, client=client, figures=False).task == Task.REGRESSION
    assert evaluate(lambda data: counts % 9, frame, counts % 9, client=client, figures=False).task == Task.MULTICLASS
    model = LinearRegression().fit(frame, counts % 9)
    assert evaluate(model, frame, counts % 9, client=client, figures=False).task == Task.REGRESSION


def test_text_labels_have_a_positive_class(client: Client) -> None:
    words = np.array(["bad", "good"])[TRUE]
    said = np.array(["bad", "good"])[[0, 1, 0, 0, 0, 1]]
    found = asked(client, said, words)
    assert (found.positive, found.metrics["recall"]) == ("good", pytest.approx(2 / 3))
    assert found.notes == ("the positive class is 'good', the last one; choose another with pos_label",)
    found = asked(client, said, words, pos_label="bad")
    assert (found.positive, found.metrics["recall"], found.notes) == ("bad", 1.0, ())
    assert asked(client, TRUE, TRUE, pos_label="0").positive == "0"
    with pytest.raises(InvalidInput, match="pos_label 'ugly' is no class \\(there are 'bad' and 'good'\\)"):
        asked(client, said, words, pos_label="ugly")
    with pytest.raises(InvalidInput, match="pos_label is given and the task is regression"):
        asked(client, FRAME["x"] + 0.5, TRUE, pos_label=1, task="regression")


@pytest.mark.parametrize(
    ("targets", "answer", "message"),
    [
        (["a"] * 6, ["a"] * 6, "targets hold the class 'a' only; evaluate on data with at least two"),
        (
            TRUE + 0.5,
            np.array([0, 1, np.nan, 0, 1, np.nan]),
            "2 of 6 answers of the model are NaN .*first in row 2",
        ),
        (np.array([0.5, 1, np.inf, 0, 1, 2]), TRUE, "1 of 6 targets are NaN or infinite"),
    ],
)
def test_what_cannot_be_measured_is_refused(client: Client, targets: Any, answer: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        asked(client, np.asarray(answer), targets)


def test_a_task_must_fit(client: Client) -> None:
    with pytest.raises(InvalidInput, match="task 'ranking' is unknown; give one of binary, multiclass, regression"):
        asked(client, TRUE, task="ranking")
    with pytest.raises(InvalidInput, match="targets are no numbers; give task='binary'"):
        asked(client, TRUE, ["a", "b", "b", "a", "a", "b"], task="regression")
    assert asked(client, TRUE, task="multiclass").positive is None
    with pytest.raises(InvalidInput, match="object of type 'int' cannot be evaluated"):
        evaluate(3, FRAME, TRUE, client=client)
