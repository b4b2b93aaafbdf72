from __future__ import annotations

import math
from typing import Any

import pytest

from ratoon.manager import make_manager
from ratoon.registry.contender import Contender, MetricRule, PromotionContext
from ratoon.registry.gates.metrics import judge_promotion
from ratoon.testing.values import version_of
from ratoon.tracking.client import Client

INF, NAN = math.inf, math.nan
NOWHERE = Client(tracking_uri="memory:", manager=make_manager(builtins=(), installed=False))


def contender(version: int, value: float | None) -> Contender:
    metrics = {} if value is None else {"m": value}
    return Contender(version=version_of("wine", version=version), metrics=metrics)


def judged(candidate: float | None, champion: float | None | str = "nobody", **rule: Any) -> list[bool]:
    """Whether each verdict of the builtin gate passed."""
    against = None if isinstance(champion, str) else contender(1, champion)
    context = PromotionContext(alias="champion", client=NOWHERE, rules=(MetricRule(metric="m", **rule),))
    verdicts = judge_promotion(candidate=contender(2, candidate), champion=against, context=context)
    assert verdicts and all(verdict.reason and verdict.gate.startswith("m ") for verdict in verdicts)
    return [verdict.passed for verdict in verdicts]


@pytest.mark.parametrize(
    ("value", "limits", "passed"),
    [
        (0.8, {"minimum": 0.8}, True),
        (0.79, {"minimum": 0.8}, False),
        (0.8, {"maximum": 0.8}, True),
        (0.81, {"maximum": 0.8}, False),
        (0.5, {"minimum": 0.4, "maximum": 0.6}, True),
        (0.7, {"minimum": 0.4, "maximum": 0.6}, False),
        (0.0, {"minimum": 0.0}, True),
        (INF, {"minimum": 0.8}, True),
        (-INF, {"minimum": 0.8}, False),
        (INF, {"maximum": 0.8}, False),
    ],
)
def test_limits_are_part_of_what_is_allowed(value: float, limits: dict[str, float], passed: bool) -> None:
    assert judged(value, **limits) == [passed]
    assert judged(value, **limits, higher_is_better=False) == [passed]


@pytest.mark.parametrize(
    ("value", "held", "rule", "passed"),
    [
        (0.9, 0.8, {}, True),
        (0.8, 0.8, {}, True),
        (0.79, 0.8, {}, False),
        (0.79, 0.8, {"tolerance": 0.1}, True),
        (0.69, 0.8, {"tolerance": 0.1}, False),
        (0.7, 0.8, {"higher_is_better": False}, True),
        (0.9, 0.8, {"higher_is_better": False}, False),
        (0.85, 0.8, {"higher_is_better": False, "tolerance": 0.1}, True),
        (INF, 0.8, {}, True),
        (-INF, 0.8, {"tolerance": 100.0}, False),
        (0.8, INF, {}, False),
        (0.8, -INF, {}, True),
        (INF, INF, {}, True),
        (-INF, -INF, {"higher_is_better": False}, True),
        (INF, -INF, {"higher_is_better": False}, False),
    ],
)
def test_the_candidate_is_not_worse_than_the_champion(
    value: float, held: float, rule: dict[str, Any], passed: bool
) -> None:
    assert judged(value, held, **rule) == [passed]


@pytest.mark.parametrize("value", [None, NAN])
def test_a_metric_that_is_not_known_is_a_refusal(value: float | None) -> None:
    assert judged(value) == [False]
    assert judged(value, 0.5) == [False]
    assert judged(value, NAN, minimum=0.1) == [False]


@pytest.mark.parametrize("held", [None, NAN])
def test_a_champion_without_the_metric_is_no_obstacle(held: float | None) -> None:
    assert judged(0.1, held) == [True]


def test_without_a_champion_a_known_metric_is_enough() -> None:
    assert judged(0.1) == [True]


def test_limits_and_champion_are_judged_each() -> None:
    assert judged(0.7, 0.6, minimum=0.8) == [False, True]
    assert judged(0.9, 0.95, minimum=0.8) == [True, False]


def test_the_gate_has_nothing_to_say_without_a_rule() -> None:
    context = PromotionContext(alias="champion", client=NOWHERE)
    assert judge_promotion(candidate=contender(2, 0.1), champion=None, context=context) == []
