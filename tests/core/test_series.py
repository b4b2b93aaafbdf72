from __future__ import annotations

import math
import sys
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratoon.entities import Metric
from ratoon.stores.series import MetricSeries, empty_series, from_blocks, in_order, part_of, sample, to_block

Point = tuple[int, int, float]

INT64 = st.integers(-(2**63), 2**63 - 1)
# Few different steps and timestamps, so that many points share their place.
FEW = st.integers(0, 3)
VALUES = st.floats(allow_nan=True, allow_infinity=True)
POINTS = st.lists(st.tuples(FEW | INT64, FEW | INT64, VALUES | st.sampled_from([0.0, 1.0, math.nan])), max_size=40)


def series_of(points: list[Point]) -> MetricSeries:
    steps, timestamps, values = zip(*points, strict=True) if points else ((), (), ())
    return MetricSeries("m", array("q", steps), array("q", timestamps), array("d", values))


def points_of(series: MetricSeries) -> list[Point]:
    return list(zip(series.steps, series.timestamps, series.values, strict=True))


def comparable(points: list[Point]) -> list[tuple[int, int, str]]:
    """Points that can be compared although NaN is not equal to itself; the zeros are one value."""
    return [(step, timestamp, repr(value + 0.0)) for step, timestamp, value in points]


@pytest.fixture(params=["with numpy", "without numpy"], autouse=True)
def numpy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of the ways in which steps are looked at."""
    import numpy

    assert numpy is sys.modules["numpy"]
    if request.param == "without numpy":
        monkeypatch.delitem(sys.modules, "numpy")


@given(st.lists(POINTS, max_size=5))
def test_points_travel_through_blocks(parts: list[list[Point]]) -> None:
    found = from_blocks("m", [to_block(series_of(points)) for points in parts])
    assert comparable(points_of(found)) == comparable([point for points in parts for point in points])


@given(POINTS)
def test_order_is_that_of_step_and_timestamp_and_each_point_is_there_once(points: list[Point]) -> None:
    expected: list[Point] = []
    for point in sorted(points, key=lambda point: point[:2]):
        if comparable([point])[0] not in comparable(expected):
            expected.append(point)
    assert comparable(points_of(in_order(series_of(points)))) == comparable(expected)


@pytest.mark.parametrize(
    "points",
    [[], [(1, 1, 1.0)], [(1, 5, 0.0), (2, 4, 0.0)], [(0, 1, 0.0), (0, 2, 0.0)]],
    ids=["nothing", "one", "rising steps", "rising timestamps"],
)
def test_what_is_in_order_is_not_copied(points: list[Point]) -> None:
    series = series_of(points)
    assert in_order(series) is series


def test_equal_points_are_one_wherever_they_lie() -> None:
    points = [(1, 1, math.nan), (0, 0, 2.0), (1, 1, 1.0), (1, 1, math.nan), (0, 0, 2.0), (1, 1, -0.0), (1, 1, 0.0)]
    expected = [(0, 0, 2.0), (1, 1, math.nan), (1, 1, 1.0), (1, 1, -0.0)]
    assert comparable(points_of(in_order(series_of(points)))) == comparable(expected)


@given(POINTS, st.integers(1, 50))
def test_a_sample_keeps_the_ends_and_the_extremes(points: list[Point], size: int) -> None:
    series = series_of(points)
    found = points_of(sample(series, size))
    assert len(found) <= max(size, 5) or len(found) == len(points) <= 2
    rest = iter(comparable(points))
    assert all(point in rest for point in comparable(found))  # a part of the series, in its order
    if not points:
        return
    ends = comparable([points[0], points[-1]])
    assert [comparable(found)[0], comparable(found)[-1]] == ends
    real, kept = ([value for *_, value in some if not math.isnan(value)] for some in (points, found))
    assert (min(real, default=None), max(real, default=None)) == (min(kept, default=None), max(kept, default=None))
    assert any(math.isnan(value) for *_, value in points) == any(math.isnan(value) for *_, value in found)


def test_every_spike_survives_a_sample() -> None:
    count, spikes = 100_000, range(777, 100_000, 9_999)
    values = array("d", [math.sin(step / 5000) for step in range(count)])
    for spike in spikes:
        values[spike] = 50.0
    found = sample(MetricSeries("m", array("q", range(count)), array("q", bytes(8 * count)), values), 200)
    assert 150 <= len(found) <= 200
    assert {step for step, _, value in points_of(found) if value == 50.0} == set(spikes)


def test_a_series_is_a_sequence_of_metrics() -> None:
    series = series_of([(1, 2, 3.0), (4, 5, 6.0)])
    assert list(series) == [Metric("m", 3.0, 2, 1), Metric("m", 6.0, 5, 4)]
    assert list(part_of(series, 1, 9)) == [Metric("m", 6.0, 5, 4)]
    assert (len(series), len(empty_series("m"))) == (2, 0)
