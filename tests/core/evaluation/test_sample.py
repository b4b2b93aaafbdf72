"""Rows, targets, weights and segments: what is taken, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratoon.errors import InvalidInput
from ratoon.evaluation.evaluating import evaluate
from ratoon.evaluation.sample import Given, make_sample
from ratoon.evaluation.values import SegmentMetrics
from ratoon.registry.segments import Segment
from ratoon.tracking.client import Client

FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [0, 1, 0, 1], "w": [1, 2, 0, 1], "zone": ["n", "s", None, "n"]})


def test_named_columns_are_taken_out_of_what_the_model_gets() -> None:
    sample = make_sample(Given(FRAME, "y", ["zone"], "w"))
    assert list(sample.data.columns) == ["x", "zone"]
    assert (sample.targets.tolist(), list(sample.rows)) == ([0, 1, 0, 1], [0, 1, 2, 3])
    assert sample.weights is not None and sample.weights.tolist() == [1, 2, 0, 1]
    assert "y" in FRAME.columns


@pytest.mark.parametrize(
    "data",
    [
        FRAME[["x"]],
        FRAME["x"],
        {"x": [1.0, 2.0, 3.0, 4.0]},
        [{"x": 1.0}, {"x": 2.0}, {"x": 3.0}, {"x": 4.0}],
        np.array([[1.0], [2.0], [3.0], [4.0]]),
        [[1.0], [2.0], [3.0], [4.0]],
        {"image": np.zeros((4, 2, 2)), "words": np.zeros((4, 3))},
    ],
)
def test_data_may_have_many_forms(data: Any) -> None:
    sample = make_sample(Given(data, [0, 1, 0, 1], {"zone": ["n", "s", "n", "s"]}))
    assert {str(each): rows.tolist() for each, rows in sample.segments.items()} == {"zone=n": [0, 2], "zone=s": [1, 3]}


def test_tables_of_polars_and_arrow_are_taken() -> None:
    polars, arrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    columns = {"x": [1.0, 2.0], "y": ["a", "b"]}
    digests = set()
    for table in (polars.DataFrame(columns), arrow.table(columns), pd.DataFrame(columns)):
        sample = make_sample(Given(table, "y", polars.Series("zone", ["n", "s"])))
        assert sample.targets.tolist() == ["a", "b"] and set(sample.segments) == {("zone", "n"), ("zone", "s")}
        digests.add(sample.dataset.digest)
    assert len(digests) == 1


def test_numbers_that_could_be_missing_and_are_not_are_numbers() -> None:
    for targets in (pd.Series([1.5, 2.0], dtype="Float64"), pd.Series([1, 2], dtype="Int64"), [1.5, 2]):
        assert make_sample(Given({"x": [1, 2]}, targets)).targets.dtype.kind in "if"


def test_a_path_names_the_dataset_and_where_it_is() -> None:
    found = make_sample(Given(FRAME, "y", dataset="/data/wine.csv")).dataset
    assert (found.name, found.source_type, found.source) == ("wine.csv", "local", '{"uri": "/data/wine.csv"}')
    assert '{"type": "double", "name": "x", "required": true}' in (found.schema or "")
    found = make_sample(Given(np.zeros((4, 1)), [0, 1, 0, 1])).dataset
    assert (found.name, found.source_type, found.schema) == ("evaluation", "code", None)


def test_labels_that_do_not_tell_rows_apart_are_replaced_by_positions() -> None:
    for labels in (["a", "a", "b", "c"], [1, "1", 2, 3]):
        assert list(make_sample(Given(FRAME.set_axis(labels), "y")).rows) == [0, 1, 2, 3]
    assert list(make_sample(Given(FRAME.set_axis(list("abcd")), "y")).rows) == list("abcd")


def test_segments_are_the_rows_with_each_value() -> None:
    numbers = pd.Series([1, 1, 2, 2], name="level")
    sample = make_sample(Given(FRAME, "y", ["zone", numbers]))
    assert {each: rows.tolist() for each, rows in sample.segments.items()} == {
        Segment("zone", "n"): [0, 3],
        Segment("zone", "s"): [1],
        Segment("zone", "nan"): [2],
        Segment("level", "1"): [0, 1],
        Segment("level", "2"): [2, 3],
    }
    assert set(make_sample(Given(FRAME, "y", "zone")).segments) == set(
        make_sample(Given(FRAME, "y", ["zone"])).segments
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Given(FRAME[:0], "y"), "the data has no rows"),
        (Given([], []), "the data has no rows"),
        (Given({}, []), "the data has no rows"),
        (Given(3, [1]), "data of type 'int' has no rows"),
        (Given({"a": np.zeros((2, 2)), "b": np.zeros((3, 2))}, [0, 1]), "have 2, 3 rows"),
        (Given({"a": [1, 2], "b": [1]}, [0, 1]), "the data is no table"),
        (Given(FRAME, [0, 1]), "targets are 2 and the data has 4 rows"),
        (Given(FRAME, np.zeros((4, 2))), r"targets have the shape \(4, 2\); give one value for each row"),
        (Given(FRAME, "z"), "targets are the column 'z', which the data does not have \\(it has 'x', 'y'"),
        (Given(FRAME.to_numpy(), "y"), "the data has no named columns"),
        (
            Given(FRAME, FRAME["y"].iloc[::-1]),
            r"targets have another index than the data; give targets.loc",
        ),
        (Given(FRAME, "zone"), r"1 of 4 targets are missing \(the first in row 2\); leave those rows out"),
        (Given(FRAME, [0, 1, float("nan"), 1]), "1 of 4 targets are missing"),
        (Given(FRAME, "y", weights=[1, 2, -1, 1]), "weights are negative, missing, infinite or all 0"),
        (Given(FRAME, "y", weights=[0, 0, 0, 0]), "weights are negative, missing, infinite or all 0"),
        (Given(FRAME, "y", weights="zone"), "weights are no numbers"),
        (Given(FRAME, "y", ["colour"]), "segments by 'colour' are the column 'colour', which the data does not have"),
        (Given(FRAME, "y", [np.array([1, 2, 3, 4])]), "a segment has no name"),
        (Given(FRAME, "y", {"zone": ["n"]}), "segments by 'zone' are 1 and the data has 4 rows"),
        (Given(FRAME, "y", {"zone": ["é" * 240] * 4}), "250 are allowed"),
    ],
)
def test_what_does_not_fit_is_refused(given: Given, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_sample(given)


def test_a_column_with_too_many_values_makes_no_segments() -> None:
    many = pd.DataFrame({"id": range(101), "y": [0, 1] * 50 + [0]})
    with pytest.raises(InvalidInput, match=r"column 'id' has 101 different values .*; group them, pandas.qcut"):
        make_sample(Given(many, "y", ["id"]))


def segments(client: Client, **options: Any) -> dict[str, SegmentMetrics]:
    said = FRAME["y"].to_numpy()
    found = evaluate(
        lambda data: said, FRAME, "y", segments=["zone"], minimum_rows=2, client=client, figures=False, **options
    )
    return {each.value: each for each in found.segments}


def test_segments_with_few_rows_are_kept_and_marked(client: Client) -> None:
    found = segments(client)
    assert {name: (each.rows, each.few) for name, each in found.items()} == {
        "n": (2, False),
        "s": (1, True),
        "nan": (1, True),
    }
    assert found["n"].metrics == pytest.approx(
        dict.fromkeys(
            ("accuracy", "balanced_accuracy", "f1_macro", "matthews_corrcoef", "f1", "precision", "recall"), 1.0
        )
    )


def test_metrics_that_mean_nothing_in_a_segment_are_left_out(client: Client) -> None:
    found = segments(client)
    assert "recall" in found["s"].metrics and "matthews_corrcoef" not in found["s"].metrics
    assert "recall" not in found["nan"].metrics  # nothing is positive there
    assert segments(client, weights="w")["nan"].metrics == {}  # its only row does not count


def test_relative_errors_need_targets_other_than_0_and_r2_different_ones(client: Client) -> None:
    frame = pd.DataFrame({"y": [0.0, 1.5, 2.5, 2.5], "zone": ["a", "a", "b", "b"]})
    found = evaluate(
        lambda data: np.array([0.5, 1.0, 2.0, 3.0]), frame, "y", segments=["zone"], client=client, figures=False
    )
    by_zone = {each.value: each.metrics for each in found.segments}
    assert "mean_absolute_percentage_error" not in found.metrics and "r2" in found.metrics
    assert "mean_absolute_percentage_error" not in by_zone["a"] and "r2" in by_zone["a"]
    assert by_zone["b"]["mean_absolute_percentage_error"] == pytest.approx(0.2) and "r2" not in by_zone["b"]
