from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy
import pytest

from ratoon.entities import Deployment, RunStatus, Verdict
from ratoon_airflow.plain import plain


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), numpy.float32("nan"), numpy.float64("inf")]
)
def test_what_json_has_no_number_for_becomes_none(value):
    assert plain({"auc": value, "of": [value]}) == {"auc": None, "of": [None]}


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.25, 0.25),
        ("text", "text"),
        (numpy.int64(3), 3),
        (numpy.float32(0.25), 0.25),
        (RunStatus.FINISHED, "FINISHED"),
        ((1, (2.0, "x")), [1, [2.0, "x"]]),
        ({1: {"a": None}}, {"1": {"a": None}}),
        ({"one"}, ["one"]),
        (Path("/data/x"), "/data/x"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
    ],
)
def test_everything_becomes_what_json_has(value, expected):
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


def test_values_of_ratoon_become_dictionaries_all_the_way_down():
    verdict = Verdict(gate="metric", passed=False, reason="too low", evidence={"accuracy": float("nan")})
    deployment = Deployment(
        name="wine",
        target="local",
        model_uri="models:/wine@champion",
        endpoint="http://127.0.0.1:1",
        created_at=1,
        healthy=True,
        details={"verdicts": (verdict,)},
    )
    answer = plain(deployment)
    assert answer["details"]["verdicts"] == [
        {"gate": "metric", "passed": False, "reason": "too low", "evidence": {"accuracy": None}}
    ]
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
