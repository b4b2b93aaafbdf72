"""Metrics of segments: their keys, and the gate that looks at the worst one."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratoon.entities import Verdict
from ratoon.manager import make_manager
from ratoon.registry.contender import Contender, PromotionContext
from ratoon.registry.gates.segments import judge_promotion
from ratoon.registry.segments import Segment, parse_segment_key, segment_key, segments_of
from ratoon.stores.limits import check_key
from ratoon.testing.values import version_of
from ratoon.tracking.client import Client

NOWHERE = Client(tracking_uri="memory:", manager=make_manager(builtins=(), installed=False))
# Lone surrogates are no characters of a text that could be stored.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(TEXTS, TEXTS)
def test_every_column_and_value_has_a_key_that_can_be_stored_and_read_back(column: str, value: str) -> None:
    key = segment_key(column, value, "auc")
    assert parse_segment_key(key) == (Segment(column, value), "auc")
    check_key("metric", key)


@pytest.mark.parametrize(
    ("column", "value", "key"),
    [
        ("region", "north", "segment/region/north/auc"),
        ("Größe", 3, "segment/Größe/3/auc"),
        ("a/b", "=5", "segment/a:2f:b/:3d:5/auc"),
        ("x", "", "segment/x/::/auc"),
        ("x", "..", "segment/x/:2e::2e:/auc"),
        ("x", 1.5, "segment/x/1.5/auc"),
        ("x", True, "segment/x/True/auc"),
    ],
)
def test_keys_are_what_is_documented(column: str, value: object, key: str) -> None:
    assert segment_key(column, value, "auc") == key


def test_metrics_are_grouped_by_segment_and_others_left_out() -> None:
    metrics = {"auc": 0.9, "segment/a/b": 1.0, "segment/r/n/rows": 5.0, "segment/r/n/top/5": 0.5, "segments/r/n/x": 1.0}
    assert segments_of(metrics) == {Segment("r", "n"): {"rows": 5.0, "top/5": 0.5}}


def contender(number: int, **values: float) -> Contender:
    metrics = {f"segment/region/{name}/auc": value for name, value in values.items()}
    return Contender(version=version_of("wine", version=number), metrics=metrics)


def judged(candidate: Contender, champion: Contender | None = None, **rule: Any) -> Verdict:
    options = {"segments": [{"metric": "auc"} | rule]}
    context = PromotionContext(alias="champion", client=NOWHERE, options=options)
    (verdict,) = judge_promotion(candidate=candidate, champion=champion, context=context) or ()
    return verdict


def test_the_worst_segment_is_named_where_all_are_good_enough() -> None:
    verdict = judged(contender(2, north=0.9, south=0.8), minimum=0.8)
    assert verdict.passed
    assert verdict.reason == "the worst of 2 is region=south with 0.8"
    falling = judged(contender(2, north=0.9, south=0.8), maximum=0.9, higher_is_better=False)
    assert falling.passed and falling.evidence["worst"] == "region=north"


def test_a_segment_below_the_limit_is_refused_and_named() -> None:
    verdict = judged(contender(2, north=0.9, south=0.7, west=math.nan), minimum=0.8)
    assert not verdict.passed
    assert verdict.reason == "region=south has 0.7, wanted is at least 0.8; region=west is not a number"
    assert verdict.evidence["refused"] == ["region=south", "region=west"]


def test_a_segment_may_not_be_worse_than_the_champions() -> None:
    held = contender(1, north=0.9, south=0.8, east=math.nan)
    assert judged(contender(2, north=0.89, south=0.8, east=0.1), held, tolerance=0.02).passed
    verdict = judged(contender(2, north=0.95, south=0.7, east=0.1), held, tolerance=0.02)
    assert verdict.reason == "region=south has 0.7, the champion has 0.8 and a loss of 0.02 is tolerated"
    assert judged(contender(2, north=0.5, south=0.5), None, tolerance=0.0).passed
    assert judged(contender(2, north=0.5, south=0.5), held, minimum=0.5).passed


def test_a_segment_that_was_measured_for_the_champion_only_is_refused() -> None:
    verdict = judged(contender(2, north=0.95), contender(1, north=0.9, south=0.8), tolerance=0.1)
    assert verdict.reason == "region=south was measured for the champion only: evaluate both on the same data"


def test_few_rows_are_passed_over_on_both_sides() -> None:
    rows = {"segment/region/south/rows": 3.0, "segment/region/north/rows": 300.0}
    few = contender(2, north=0.9, south=0.1)
    few = Contender(version=few.version, metrics={**few.metrics, **rows})
    assert judged(few, contender(1, north=0.9, south=0.9), minimum=0.8, tolerance=0.0, minimum_rows=30).passed
    assert not judged(few, None, minimum=0.8).passed


def test_only_the_column_that_is_named_is_looked_at() -> None:
    found = contender(2, north=0.9)
    found = Contender(version=found.version, metrics={**found.metrics, "segment/age/old/auc": 0.1})
    assert judged(found, column="region", minimum=0.8).passed
    assert not judged(found, minimum=0.8).passed
    unmeasured = judged(found, column="sex", minimum=0.8)
    assert unmeasured.reason.startswith("auc of version 2 was measured in no segment of column 'sex'; evaluate it")


def test_of_many_faults_the_first_are_listed() -> None:
    verdict = judged(contender(2, **{f"r{number}": 0.1 for number in range(8)}), minimum=0.8)
    assert verdict.reason.count("wanted is") == 5 and verdict.reason.endswith(" and 3 more")
