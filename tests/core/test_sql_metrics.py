"""How metrics lie in the database, on each of the databases."""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Row, func, select

from ratoon.entities import Metric
from ratoon.errors import NotFound
from ratoon.stores.sql import tables
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.metrics import MERGED_AT, MOST_POINTS, SqlMetrics, read_latest, write_metrics

Write = Callable[..., None]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    name = "uri" if request.param == "sqlite" else "postgresql_uri"
    database = Database(request.getfixturevalue(name))
    yield database
    database.close()


@pytest.fixture
def run(database: Database) -> Row[Any]:
    """A run of an experiment, as its row."""
    experiment = {"name": "wine", "artifact_location": "", "lifecycle_stage": "active"}
    experiment |= {"creation_time": 0, "last_update_time": 0}
    row = {"run_id": uuid.uuid4().hex, "run_name": "first", "user_id": "ada", "status": "RUNNING", "start_time": 0}
    row |= {"artifact_uri": "", "lifecycle_stage": "active"}
    with database.writing() as connection:
        created = tables.experiments.insert().values(experiment).returning(tables.experiments.c.experiment_id)
        number = connection.core.execute(created).scalar_one()
        return connection.core.execute(
            tables.runs.insert().values(row | {"experiment_id": number}).returning(tables.runs)
        ).one()


@pytest.fixture
def write(database: Database, run: Row[Any]) -> Write:
    """Write points in one transaction."""

    def write(*points: Metric) -> None:
        with database.writing() as connection:
            write_metrics(connection, run, points)

    return write


@pytest.fixture
def store(database: Database) -> SqlMetrics:
    return SqlMetrics(database)


def blocks(database: Database) -> int:
    with database.reading() as connection:
        return connection.core.execute(select(func.count()).select_from(tables.metric_blocks)).scalar_one()


def row_of(database: Database, key: str) -> Row[Any]:
    with database.reading() as connection:
        return connection.core.execute(select(tables.metrics).where(tables.metrics.c.key == key)).one()


def latest(database: Database, run: Row[Any]) -> dict[str, Metric]:
    with database.reading() as connection:
        return read_latest(connection, [run.run_pk])[run.run_pk]


def test_points_are_read_back_in_order_and_once(store: SqlMetrics, run: Row[Any], write: Write) -> None:
    write(Metric("a", 3.0, 30, 3), Metric("b", 1.0, 10, 1), Metric("a", 1.0, 10, 1))
    write(Metric("a", 2.0, 20, 2), Metric("a", 3.0, 30, 3), Metric("c", 5.0, 0))
    assert [point.value for point in store.metric_history(run.run_id, "a")] == [1.0, 2.0, 3.0]
    assert list(store.metric_history(run.run_id, "b")) == [Metric("b", 1.0, 10, 1)]
    assert len(store.metric_history(run.run_id, "nothing")) == 0
    for read in (lambda: store.metric_history("0" * 32, "a"), lambda: store.metric_sample("0" * 32, "a", 10)):
        with pytest.raises(NotFound, match="run '0+' does not exist; list the runs"):
            read()


@pytest.mark.parametrize("together", [True, False])
def test_the_last_point_is_the_one_with_the_highest_step(
    database: Database, run: Row[Any], write: Write, together: bool
) -> None:
    points = [Metric("a", 1.0, 5, 1), Metric("a", 2.0, 9, 7), Metric("a", 3.0, 9, 7), Metric("a", 4.0, 99, 6)]
    points.insert(0, Metric("a", 0.0, 8, 7))
    for batch in [points] if together else [[point] for point in points]:
        write(*batch)
    assert latest(database, run) == {"a": Metric("a", 3.0, 9, 7)}


def test_nan_is_a_last_value_and_no_extreme(database: Database, run: Row[Any], write: Write) -> None:
    write(Metric("a", math.nan, 0, 0))
    assert row_of(database, "a")[-3:-1] == (None, None)
    write(Metric("a", 2.0, 0, 1), Metric("a", -math.inf, 0, 2), Metric("a", math.inf, 0, 3))
    write(Metric("a", math.nan, 0, 4), Metric("b", 1.0, 0, 0))
    assert (row_of(database, "a").minimum, row_of(database, "a").maximum) == (-math.inf, math.inf)
    found = latest(database, run)
    assert math.isnan(found["a"].value) and found["a"].step == 4
    assert found["b"] == Metric("b", 1.0, 0, 0)


def test_small_blocks_are_merged(store: SqlMetrics, database: Database, run: Row[Any], write: Write) -> None:
    # What was written, and how many blocks hold it then.
    seen = {}
    for step in range(MERGED_AT * MERGED_AT):
        write(Metric("a", float(step), 0, step))
        if step + 1 in (MERGED_AT - 1, MERGED_AT, MERGED_AT + 1, MERGED_AT**2 - 1, MERGED_AT**2):
            seen[step + 1] = blocks(database)
    assert list(seen.values()) == [MERGED_AT - 1, 1, 2, 2 * MERGED_AT - 2, 1]
    assert list(store.metric_history(run.run_id, "a").steps) == list(range(MERGED_AT**2))
    write(Metric("a", 0.0, 0, -1))
    assert store.metric_history(run.run_id, "a").steps[0] == -1


def test_many_points_are_cut_into_blocks(store: SqlMetrics, database: Database, run: Row[Any], write: Write) -> None:
    count = 3 * MOST_POINTS + 5
    write(Metric("a", 0.0, 0, -1))
    write(*(Metric("a", float(step), 0, step) for step in range(count)))
    assert (blocks(database), row_of(database, "a").blocks) == (5, 5)
    for number in range(MERGED_AT):  # small blocks around the large ones are merged, each group on its own
        write(*(Metric("a", float(step), 0, step) for step in range(count, count + number + 1)))
    assert blocks(database) == 1 + 3 + 1 + 5
    assert list(store.metric_history(run.run_id, "a").steps) == [-1, *range(count + MERGED_AT)]
    assert len(store.metric_sample(run.run_id, "a", 100)) <= 100


def test_several_writers_of_one_metric_lose_nothing(
    store: SqlMetrics, database: Database, run: Row[Any], write: Write
) -> None:
    def work(number: int) -> None:
        for step in range(100):
            # In another order in each thread, so that locks taken in that order would meet.
            keys = ("a", "b") if number % 2 else ("b", "a")
            write(*(Metric(key, float(number), number, step) for key in keys))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for key in ("a", "b"):
        found = store.metric_history(run.run_id, key)
        assert [(point.step, point.timestamp) for point in found] == [(s, n) for s in range(100) for n in range(4)]
        assert row_of(database, key).blocks == 400
