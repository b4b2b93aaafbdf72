"""Metrics: a row for the last point and the extremes of each key, blocks for all of its points.

A write appends one block for each key. Many small blocks are merged when their number reaches a power of
:data:`MERGED_AT`, so that a million points written one by one are still read in a few hundred pieces.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ratoon.entities import Metric
from ratoon.errors import NotFound
from ratoon.stores.series import POINT_BYTES, MetricSeries, from_blocks, in_order, part_of, sample, to_block
from ratoon.stores.sql.connection import Connection
from ratoon.stores.sql.part import SqlPart
from ratoon.stores.sql.prepared import Prepared, PreparedByOwner, PreparedForKeys, insertion

MERGED_AT = 64
MOST_POINTS = 8192
# A block of so many points is left as it is: to merge it again would cost more than it saves.
_LARGE = MOST_POINTS // 2 * POINT_BYTES


class SqlMetrics(SqlPart):
    """The history of metrics. See :class:`ratoon.stores.protocol.MetricStore` for each method."""

    def metric_history(self, run_id: str, key: str) -> MetricSeries:
        """Every point of a metric, in the order of step and timestamp."""
        with self._database.reading() as connection:
            rows = _HISTORY.rows(connection, {"run_id": run_id, "metric": key})
        if not rows:
            raise NotFound(f"run '{run_id}' does not exist; list the runs with 'ratoon runs'")
        # A run without this metric has one row, without a block.
        return in_order(from_blocks(key, [block for (block,) in rows if block is not None]))

    def metric_sample(self, run_id: str, key: str, points: int) -> MetricSeries:
        """About so many points that show the shape of a metric."""
        return sample(self.metric_history(run_id, key), points)


def write_metrics(connection: Connection, run: Any, points: Sequence[Metric]) -> None:
    """Add points to a run, given as its row of ``runs``; one that is there already is dropped when they are read."""
    by_key: dict[str, list[Metric]] = {}
    for point in points:
        by_key.setdefault(point.key, []).append(point)
    # In one order everywhere: two transactions that lock the same rows must not wait for each other.
    series = [_series(key, by_key[key]) for key in sorted(by_key)]
    numbers = _update_summaries(connection, run, series)
    _ADD_BLOCK.run_many(connection, [row for each in series for row in _rows(each, *numbers[each.key])])
    for each in series:
        metric_pk, last = numbers[each.key]
        _merge(connection, metric_pk, last - _count(each), last)


def read_latest(connection: Connection, run_pks: Sequence[int]) -> dict[int, dict[str, Metric]]:
    """The last point of each key, by run."""
    return {
        run_pk: {
            key: Metric(key, math.nan if is_nan else value, timestamp, step)
            for _, key, value, is_nan, timestamp, step in rows
        }
        for run_pk, rows in _LATEST.rows(connection, run_pks).items()
    }


def _update_summaries(connection: Connection, run: Any, series: Sequence[MetricSeries]) -> dict[str, tuple[int, int]]:
    """The number of each metric and of its last block.

    The rows stay locked until the transaction ends: nobody else gets the same numbers.
    """
    rows = [_summary(each) | {"run_pk": run.run_pk, "experiment_id": run.experiment_id} for each in series]
    if len(rows) == 1:
        found = _UPSERT_ONE.first(connection, rows[0])
        return {series[0].key: (found[0], found[1])}
    _UPSERT.run_many(connection, rows)
    found = _NUMBERS.rows(connection, [each.key for each in series], {"run_pk": run.run_pk})
    return {key: (metric_pk, blocks) for key, metric_pk, blocks in found}


def _series(key: str, points: Sequence[Metric]) -> MetricSeries:
    return MetricSeries(
        key,
        array("q", [point.step for point in points]),
        array("q", [point.timestamp for point in points]),
        array("d", [point.value for point in points]),
    )


def _summary(series: MetricSeries) -> dict[str, Any]:
    """The columns of a metric, as far as these points know them."""
    values: Sequence[float] = series.values
    last = _last(series)
    is_nan = math.isnan(values[last])
    # The sum of anything and NaN is NaN: one pass in C where there is none. (So is that of both infinities.)
    real = values if not math.isnan(sum(values)) else [value for value in values if not math.isnan(value)]
    return {
        "key": series.key,
        "value": 0.0 if is_nan else values[last],
        "is_nan": is_nan,
        "timestamp": series.timestamps[last],
        "step": series.steps[last],
        "minimum": min(real, default=None),
        "maximum": max(real, default=None),
        "blocks": _count(series),
    }


def _last(series: MetricSeries) -> int:
    """Where the point with the highest step lies, then timestamp; of equal ones the one that was written last."""
    steps = series.steps
    highest = max(steps)
    if steps[-1] == highest and steps.count(highest) == 1:
        return len(steps) - 1
    return max(zip(steps, series.timestamps, range(len(steps)), strict=True))[2]


def _count(series: MetricSeries) -> int:
    return -(-len(series) // MOST_POINTS)


def _rows(series: MetricSeries, metric_pk: int, last: int) -> Iterator[dict[str, Any]]:
    """The blocks of some points, of which the last one has the number ``last``."""
    first = last - _count(series) + 1
    for number, begin in enumerate(range(0, len(series), MOST_POINTS), first):
        yield {"metric_pk": metric_pk, "block": number, "data": to_block(part_of(series, begin, begin + MOST_POINTS))}


def _merge(connection: Connection, metric_pk: int, before: int, last: int) -> None:
    """Merge small blocks, if the number of blocks has reached a multiple of 64 or 4,096 by going on from ``before``."""
    for many in (MERGED_AT**2, MERGED_AT):
        begin = before // many * many
        if last // many * many > begin:
            break
    else:
        return
    where = {"metric_pk": metric_pk, "begin": begin, "end": last}
    blocks = _BLOCKS.rows(connection, where)
    for is_small, stretch in groupby(blocks, key=lambda row: len(row.data) < _LARGE):
        found = list(stretch)
        if not is_small or len(found) == 1:
            continue
        merged = from_blocks("", [row.data for row in found])
        first, end = found[0].block, found[-1].block
        _FORGET.run(connection, {"metric_pk": metric_pk, "begin": first - 1, "end": end})
        _ADD_BLOCK.run_many(connection, list(_rows(merged, metric_pk, first + _count(merged) - 1)))


def _summing() -> str:
    """Add the summary of new points to that of the others."""
    columns = ("run_pk", "experiment_id", "key", *_OF_LAST, "minimum", "maximum", "blocks")
    is_later = "(excluded.step, excluded.timestamp) >= (metrics.step, metrics.timestamp)"
    changes = [f"{name} = CASE WHEN {is_later} THEN excluded.{name} ELSE metrics.{name} END" for name in _OF_LAST]
    changes += [
        f"{name} = CASE WHEN excluded.{name} {sign} metrics.{name} OR metrics.{name} IS NULL"
        f" THEN excluded.{name} ELSE metrics.{name} END"
        for name, sign in (("minimum", "<"), ("maximum", ">"))
    ]
    changes.append("blocks = metrics.blocks + excluded.blocks")
    return f"{insertion('metrics', columns)} ON CONFLICT (run_pk, key) DO UPDATE SET {', '.join(changes)}"


_OF_LAST = ("value", "is_nan", "timestamp", "step")
_UPSERT = Prepared(_summing())
_UPSERT_ONE = Prepared(f"{_summing()} RETURNING metric_pk, blocks")
_NUMBERS = PreparedForKeys("SELECT key, metric_pk, blocks FROM metrics WHERE run_pk = :run_pk AND key IN :keys")
_LATEST = PreparedByOwner(f"SELECT run_pk, key, {', '.join(_OF_LAST)} FROM metrics WHERE run_pk IN :keys ORDER BY key")
_HISTORY = Prepared(
    "SELECT metric_blocks.data FROM runs"
    " LEFT JOIN metrics ON metrics.run_pk = runs.run_pk AND metrics.key = :metric"
    " LEFT JOIN metric_blocks ON metric_blocks.metric_pk = metrics.metric_pk"
    " WHERE runs.run_id = :run_id ORDER BY metric_blocks.block"
)
_ADD_BLOCK = Prepared(insertion("metric_blocks", ("metric_pk", "block", "data")))
_IN_RANGE = "FROM metric_blocks WHERE metric_pk = :metric_pk AND block > :begin AND block <= :end"
_BLOCKS = Prepared(f"SELECT block, data {_IN_RANGE} ORDER BY block")
_FORGET = Prepared(f"DELETE {_IN_RANGE}")
