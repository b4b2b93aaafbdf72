"""Stored predictions and the paired test on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ratoon.errors import Corrupt, InvalidInput, NotFound
from ratoon.registry.bootstrap import SCORES, Drawing, paired_gain
from ratoon.registry.contender import EVALUATION_RUN
from ratoon.registry.predictions import (
    DESCRIPTION,
    TABLE,
    Predictions,
    as_text,
    log_predictions,
    read_predictions,
)
from ratoon.registry.promotion import promote, set_alias
from ratoon.tracking.client import Client

from .conftest import Refused, Version, wine_policy

ROWS = 400
DRAWING = Drawing(confidence=0.95, resamples=2000, seed=0)


def predictions(right: int, *, size: int = ROWS, digest: str = "0a1b", **changes: Any) -> Predictions:
    """Of so many rows the first are predicted rightly."""
    targets = [number % 2 for number in range(size)]
    said = [target if number < right else 1 - target for number, target in enumerate(targets)]
    values = {"dataset": "wine-test", "digest": digest, "rows": range(size), "targets": targets, "predictions": said}
    return Predictions(**values | changes)


def texts(given: Predictions) -> Predictions:
    """As they are read back."""
    columns = {name: [as_text(each) for each in getattr(given, name)] for name in ("rows", "targets", "predictions")}
    shares = {name: [as_text(each) for each in column] for name, column in given.probabilities.items()}
    return Predictions(dataset=given.dataset, digest=given.digest, probabilities=shares, **columns)


def test_predictions_read_back_equal(client: Client) -> None:
    given = Predictions(
        dataset="wine-test",
        digest="0a1b",
        rows=["a", 2, 3.5, "d"],
        targets=[True, np.int64(0), 'a "quoted", one', "Größe\nzwei"],
        predictions=[0.1 + 0.2, np.float32(0.5), None, "x"],
        probabilities={"0": np.array([0.25, 1e-300, 1.0, 0.1]), "a/b": [1, 0, 0.5, float("nan")]},
    )
    with client.start_run() as run:
        log_predictions(run, given)
    found = read_predictions(client, run.info)
    assert (found.dataset, found.digest) == ("wine-test", "0a1b")
    assert list(found.rows) == ["a", "2", "3.5", "d"]
    assert list(found.targets) == ["1", "0", 'a "quoted", one', "Größe\nzwei"]
    assert list(found.predictions) == ["0.30000000000000004", "0.5", "", "x"]
    assert {name: [float(each) for each in column][:3] for name, column in found.probabilities.items()} == {
        "0": [0.25, 1e-300, 1.0],
        "a/b": [1.0, 0.0, 0.5],
    }


def test_a_table_without_rows_reads_back_empty(client: Client) -> None:
    with client.start_run() as run:
        log_predictions(run, predictions(0, size=0))
    assert list(read_predictions(client, run.info).rows) == []


@pytest.mark.parametrize("changes", [{"targets": [1]}, {"rows": [0, 1, 1]}, {"probabilities": {"0": [0.5]}}])
def test_tables_that_make_no_sense_are_not_kept(client: Client, changes: dict[str, Any]) -> None:
    with client.start_run() as run, pytest.raises(InvalidInput, match="columns differ in length, or a row stands"):
        log_predictions(run, predictions(3, size=3, **changes))
    with pytest.raises(NotFound):
        read_predictions(client, run.info)


def test_files_that_do_not_belong_together_are_corrupt(client: Client) -> None:
    with client.start_run() as run:
        log_predictions(run, predictions(3, size=3))
        run.log_text("row,target,prediction\n0,0,0\n", TABLE)
    with pytest.raises(Corrupt, match="the table is not the one that was described"):
        read_predictions(client, run.info)
    with client.start_run() as run:
        run.log_text("[]", DESCRIPTION)
    with pytest.raises(Corrupt, match="evaluate the model again"):
        read_predictions(client, run.info)


def gain(metric: str, ours: Predictions, theirs: Predictions, drawing: Drawing = DRAWING) -> Any:
    return paired_gain(metric, texts(ours), texts(theirs), drawing)


def test_the_gain_is_the_difference_and_its_bound_is_near_that_of_the_normal_distribution() -> None:
    found = gain("accuracy", predictions(360), predictions(320))
    assert (found.candidate, found.champion, found.rows) == (0.9, 0.8, ROWS)
    assert found.gain == pytest.approx(0.1)
    # 40 of 400 rows differ, all in one direction: the deviation of the mean is sqrt(0.1 * 0.9 / 400) = 0.015.
    assert found.bound == pytest.approx(0.1 - 1.645 * 0.015, abs=0.003)
    assert gain("accuracy", predictions(360), predictions(320)) == found
    other = gain("accuracy", predictions(320), predictions(360))
    assert other.gain == pytest.approx(-0.1) and other.bound < -0.1


def test_many_different_losses_are_drawn_row_by_row_with_the_same_result() -> None:
    generator = np.random.default_rng(1)
    truth = generator.normal(size=3000)
    good, bad = (truth + generator.normal(scale=scale, size=3000) for scale in (1.0, 1.1))
    ours, theirs = (
        predictions(0, size=3000, targets=truth.tolist(), predictions=said.tolist()) for said in (good, bad)
    )
    for metric, power in (("mean_absolute_error", 1), ("mean_squared_error", 2)):
        found = gain(metric, ours, theirs)
        losses = abs(truth - bad) ** power - abs(truth - good) ** power
        assert found.gain == pytest.approx(losses.mean())
        assert found.bound == pytest.approx(losses.mean() - 1.645 * losses.std() / 3000**0.5, rel=0.15)
    root = gain("root_mean_squared_error", ours, theirs)
    assert root.candidate == pytest.approx(((truth - good) ** 2).mean() ** 0.5)
    assert 0 < root.bound < root.gain


def test_the_log_loss_needs_a_probability_of_every_class() -> None:
    targets = [0, 1] * 50
    sure, unsure = (
        predictions(0, size=100, targets=targets, probabilities={"0": [p, 1 - p] * 50, "1": [1 - p, p] * 50})
        for p in (0.9, 0.6)
    )
    found = gain("log_loss", sure, unsure)
    assert found.candidate == pytest.approx(-np.log(0.9)) and found.gain == pytest.approx(np.log(0.9 / 0.6))
    with pytest.raises(InvalidInput, match="there is no probability of class '0'"):
        gain("log_loss", predictions(3), predictions(3))


def test_rows_are_matched_by_their_names() -> None:
    ours = predictions(390)
    turned = Predictions(
        dataset="wine-test",
        digest="0a1b",
        rows=ours.rows[::-1],
        targets=ours.targets[::-1],
        predictions=ours.predictions[::-1],
    )
    assert gain("accuracy", ours, turned).gain == 0


@pytest.mark.parametrize(
    ("metric", "changes", "said"),
    [
        ("accuracy", {"rows": range(1, ROWS + 1)}, "different rows"),
        ("accuracy", {"targets": [0] * ROWS}, "the targets of some rows differ"),
        ("mean_squared_error", {"predictions": ["red"] * ROWS}, "targets or predictions are no numbers"),
        ("mean_squared_error", {"predictions": [float("inf")] * ROWS}, "is not a finite number"),
    ],
)
def test_what_cannot_be_compared_is_refused(metric: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        gain(metric, predictions(390), predictions(390, **changes))


def test_numbers_are_compared_as_numbers_and_texts_as_texts() -> None:
    floats = predictions(0, size=2, targets=[0, 1], predictions=[0.0, 1.0])
    names = predictions(0, size=2, targets=["red", "white"], predictions=["red", "red"])
    assert gain("accuracy", floats, floats).candidate == 1
    assert gain("accuracy", names, names).candidate == 0.5


def test_every_score_is_named_as_in_scikit_learn() -> None:
    from sklearn import metrics

    targets = [0, 1, 1, 0, 1]
    said, shares = [0, 1, 0, 1, 1], [0.2, 0.7, 0.4, 0.6, 0.9]
    stored = predictions(
        0,
        size=5,
        targets=targets,
        predictions=said,
        probabilities={"0": [1 - share for share in shares], "1": shares},
    )
    for name in SCORES:
        wanted = getattr(metrics, f"{name}_score" if name == "accuracy" else name)
        expected = wanted(targets, shares if name == "log_loss" else said)
        assert gain(name, stored, stored).candidate == pytest.approx(expected), name


BETTER = wine_policy(significance={"metric": "accuracy"})


def test_a_clear_gain_passes_and_the_first_champion_needs_none(client: Client, add: Version) -> None:
    add(predictions=predictions(300))
    assert promote(client, "wine", 1, policy=BETTER).verdicts[0].reason == "there is no champion to compare it with"
    add(predictions=predictions(360))
    (verdict,) = promote(client, "wine", 2, policy=BETTER).verdicts
    assert verdict.passed and verdict.evidence["gain"] == pytest.approx(0.15)
    assert "accuracy is 0.9, the champion's is 0.75 on the same 400 rows: with 0.95 confidence" in verdict.reason


def test_a_gain_that_chance_explains_is_refused_unless_a_loss_is_tolerated(
    client: Client, add: Version, refused: Refused
) -> None:
    add(predictions=predictions(360))
    set_alias(client, "wine", "champion", 1)
    add(predictions=predictions(361))
    assert "with 0.95 confidence the gain is more than 0, more than 0 is wanted" in refused(2, BETTER).reason
    assert promote(
        client, "wine", 2, policy=wine_policy(significance={"metric": "accuracy", "least_gain": -0.01})
    ).passed


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (None, "version 2 has no stored predictions; evaluate models:/wine/2 and promote again"),
        (predictions(390, digest="ffff"), "evaluated on different data ('wine-test' with digest ffff, 'wine-test'"),
        (predictions(20, size=20), "20 rows are too few to judge by (at least 30); evaluate both on more"),
        (predictions(390, targets=[1] * ROWS), "the targets of some rows differ; evaluate both on the same data"),
    ],
)
def test_evidence_that_does_not_do_is_refused(
    client: Client, add: Version, refused: Refused, stored: Predictions | None, said: str
) -> None:
    add(predictions=predictions(300))
    set_alias(client, "wine", "champion", 1)
    add(predictions=stored)
    verdict = refused(2, BETTER)
    assert verdict.gate == "accuracy significantly better" and said in verdict.reason


def test_an_evaluation_of_its_own_counts_before_the_run_that_made_the_model(client: Client, add: Version) -> None:
    add({"auc": 0.5, "loss": 2.0}, predictions=predictions(100, digest="old"))
    add(predictions=predictions(390))
    with client.start_run() as run:
        run.log_metric("auc", 0.7)
        log_predictions(run, predictions(300))
    client.registry.update_version("wine", 1, tags={EVALUATION_RUN: run.run_id})
    set_alias(client, "wine", "champion", 1)
    policy = wine_policy(significance={"metric": "accuracy"}, metrics=[{"metric": "auc", "minimum": 0.6}])
    with client.start_run() as run:
        run.log_metric("auc", 0.8)
    client.registry.update_version("wine", 2, tags={EVALUATION_RUN: run.run_id})
    verdicts = {verdict.gate: verdict for verdict in promote(client, "wine", 2, policy=policy).verdicts}
    assert verdicts["accuracy significantly better"].evidence["champion"] == 0.75
    assert verdicts["auc not worse than the champion's"].evidence["champion"] == 0.7
