"""The points of one metric as three arrays: no object for a point, so that a million of them are read at once."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import compress, islice
from math import isnan
from operator import eq, lt
from typing import Any

from msgspec import Struct

from ratoon.entities import Metric

POINT_BYTES = 24


class MetricSeries(Struct, frozen=True, eq=False):
    """Points of one metric, in the order of step and timestamp.

    The arrays have one length; ``numpy.frombuffer`` takes each without copying.

    Attributes:
        key: The metric's name.
        steps: 64-bit integers.
        timestamps: Milliseconds since the epoch, 64-bit integers.
        values: Double precision; NaN and the infinities are values.
    """

    key: str
    steps: array[int]
    timestamps: array[int]
    values: array[float]

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Metric]:
        for step, timestamp, value in zip(self.steps, self.timestamps, self.values, strict=True):
            yield Metric(self.key, value, timestamp, step)


def empty_series(key: str) -> MetricSeries:
    """A metric without points."""
    return MetricSeries(key, array("q"), array("q"), array("d"))


def to_block(series: MetricSeries) -> bytes:
    """The arrays one behind the other, as they lie in memory on every machine that we know (little-endian)."""
    return series.steps.tobytes() + series.timestamps.tobytes() + series.values.tobytes()


def from_blocks(key: str, blocks: Sequence[bytes]) -> MetricSeries:
    """The points of several blocks, one behind the other."""
    found = empty_series(key)
    views = [(memoryview(block), len(block) // 3) for block in blocks]
    # Joined first: an array that grows a million times by a little copies itself again and again.
    found.steps.frombytes(b"".join([view[:third] for view, third in views]))
    found.timestamps.frombytes(b"".join([view[third : 2 * third] for view, third in views]))
    found.values.frombytes(b"".join([view[2 * third :] for view, third in views]))
    return found


def part_of(series: MetricSeries, begin: int, end: int) -> MetricSeries:
    """Points from one place up to another."""
    if begin == 0 and end >= len(series):
        return series
    return MetricSeries(series.key, series.steps[begin:end], series.timestamps[begin:end], series.values[begin:end])


def in_order(series: MetricSeries) -> MetricSeries:
    """The same points in the order of step and timestamp, each of them once; NaN is equal to NaN here."""
    if _steps_rise(series.steps):
        return series  # as training writes them: nothing to sort, and no two can be equal
    places = list(zip(series.steps, series.timestamps, strict=True))
    if _rises(places):
        return series
    order = sorted(range(len(places)), key=places.__getitem__)
    repeated = _repeated([places[number] for number in order], [series.values[number] for number in order])
    return _taken(series, [number for rank, number in enumerate(order) if rank not in repeated])


def sample(series: MetricSeries, points: int) -> MetricSeries:
    """About so many points that show the same shape: the first, the last, and the extremes between them.

    The points are divided into parts of equal length, each of which keeps its smallest and its largest value; one with
    NaN keeps the first of those, too. So nothing that stands out is lost, however narrow it is.
    """
    if len(series) <= max(points, 2):
        return series
    kept = 3 if isnan(sum(series.values)) else 2
    parts = max((points - 2) // kept, 1)
    chosen = {0, len(series) - 1}
    for part in range(parts):
        begin, end = (len(series) * edge // parts for edge in (part, part + 1))
        chosen.update(begin + place for place in _extremes(series.values[begin:end]))
    return _taken(series, sorted(chosen))


def _extremes(values: array[float]) -> Iterator[int]:
    """Where the smallest and the largest value are, and the first NaN."""
    real = values
    if isnan(sum(values)):  # NaN is among them, or both infinities are
        real = array("d", [value for value in values if not isnan(value)])
        yield from islice((place for place, value in enumerate(values) if isnan(value)), 1)
    if real:
        yield values.index(min(real))
        yield values.index(max(real))


def _steps_rise(steps: array[int]) -> bool:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return _rises(steps)
    # A million of them take half a millisecond so, and forty the other way; NumPy is not imported for that.
    numbers = numpy.frombuffer(steps, dtype="q") if steps else numpy.empty(0)
    return bool((numbers[1:] > numbers[:-1]).all())


def _rises(places: Sequence[Any]) -> bool:
    return all(map(lt, places, islice(places, 1, None)))


def _repeated(places: Sequence[object], values: Sequence[float]) -> set[int]:
    """The ranks of points that are equal to one before; the places are sorted."""
    repeated: set[int] = set()
    seen: set[float | None] = set()
    previous = -1
    for rank in compress(range(1, len(places)), map(eq, places, islice(places, 1, None))):
        if rank - 1 != previous:  # the first two of one place
            seen = {_comparable(values[rank - 1])}
        previous = rank
        value = _comparable(values[rank])
        if value in seen:
            repeated.add(rank)
        seen.add(value)
    return repeated


def _comparable(value: float) -> float | None:
    return None if isnan(value) else value


def _taken(series: MetricSeries, numbers: Sequence[int]) -> MetricSeries:
    return MetricSeries(
        series.key,
        array("q", map(series.steps.__getitem__, numbers)),
        array("q", map(series.timestamps.__getitem__, numbers)),
        array("d", map(series.values.__getitem__, numbers)),
    )
