"""How metrics are written and read: points in one table, the last, smallest and largest of each key in another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, case, select, tuple_
from sqlalchemy.dialects.sqlite import insert

from ratoon.entities import Metric
from ratoon.stores.sql.tables import metric_points, metrics


def write_metrics(connection: Connection, run_pk: int, points: Sequence[Metric]) -> None:
    """Add points to a run; one that is there already is not stored twice."""
    by_key: dict[str, list[Metric]] = {}
    for point in points:
        by_key.setdefault(point.key, []).append(point)
    _update_summaries(connection, run_pk, [_summary(key, found) for key, found in by_key.items()])
    keys = select(metrics.c.key, metrics.c.metric_pk).where(metrics.c.run_pk == run_pk)
    numbers = {key: number for key, number in connection.execute(keys)}
    rows = [
        {
            "metric_pk": numbers[point.key],
            "step": point.step,
            "timestamp": point.timestamp,
            **_value(point.value),
        }
        for point in points
    ]
    connection.execute(insert(metric_points).on_conflict_do_nothing(), rows)


def read_latest(connection: Connection, run_pks: Sequence[int]) -> dict[int, dict[str, Metric]]:
    """The last point of each key, by run."""
    found: dict[int, dict[str, Metric]] = {number: {} for number in run_pks}
    for row in connection.execute(select(metrics).where(metrics.c.run_pk.in_(run_pks)).order_by(metrics.c.key)):
        found[row.run_pk][row.key] = _metric(row.key, row)
    return found


def read_history(connection: Connection, run_pk: int, key: str) -> list[Metric]:
    """Every point of a key, in the order of step and timestamp."""
    points = (
        select(metric_points)
        .join(metrics, metrics.c.metric_pk == metric_points.c.metric_pk)
        .where(metrics.c.run_pk == run_pk, metrics.c.key == key)
        .order_by(metric_points.c.step, metric_points.c.timestamp)
    )
    return [_metric(key, row) for row in connection.execute(points)]


def _update_summaries(connection: Connection, run_pk: int, summaries: list[dict[str, Any]]) -> None:
    statement = insert(metrics)
    new = statement.excluded
    later = tuple_(new.step, new.timestamp) >= tuple_(metrics.c.step, metrics.c.timestamp)
    updates: dict[str, Any] = {
        name: case((later, new[name]), else_=metrics.c[name]) for name in ("step", "timestamp", "value", "is_nan")
    }
    for name, better in (
        ("minimum", new.minimum < metrics.c.minimum),
        ("maximum", new.maximum > metrics.c.maximum),
    ):
        updates[name] = case((better | metrics.c[name].is_(None), new[name]), else_=metrics.c[name])
    connection.execute(
        statement.on_conflict_do_update(index_elements=["run_pk", "key"], set_=updates),
        [{"run_pk": run_pk, **summary} for summary in summaries],
    )


def _summary(key: str, points: Sequence[Metric]) -> dict[str, Any]:
    last = max(points, key=lambda point: (point.step, point.timestamp))
    real = [point.value for point in points if not math.isnan(point.value)]
    return {
        "key": key,
        "step": last.step,
        "timestamp": last.timestamp,
        "minimum": min(real, default=None),
        "maximum": max(real, default=None),
        **_value(last.value),
    }


def _value(value: float) -> dict[str, Any]:
    return {"value": 0.0, "is_nan": True} if math.isnan(value) else {"value": float(value), "is_nan": False}


def _metric(key: str, row: Any) -> Metric:
    return Metric(key, math.nan if row.is_nan else row.value, row.timestamp, row.step)
