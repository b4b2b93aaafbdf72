"""Connections of SQLite: what they need, who may use them, and how SQLAlchemy takes part in their transactions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import func, select

from ratoon.errors import StoreError
from ratoon.stores.sql import tables
from ratoon.stores.sql.connection import Connection
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.prepared import Prepared, insertion
from ratoon.stores.sql.sqlite import MOST_IDLE

RunPython = Callable[..., object]

ADD = Prepared(insertion("registered_model_tags", ("name", "key", "value")))
COUNT = Prepared("SELECT count(*) AS found FROM registered_models")

RECORDING = """
import sys
from ratoon.entities import Metric, ModelOutput, ModelStatus, RunBatch, RunStatus
from ratoon.testing.values import dataset_input, model_of, move_of, version_of
from ratoon.tracking.client import Client

client = Client(tracking_uri=sys.argv[1], artifact_root="artifacts")
experiment = client.experiment("Default")
with client.start_run(experiment="Default", tags={"b": "c"}) as run:
    run.log_params({"a": 1, "p": 1, "q": 2})
    for step in range(10):
        run.log_metrics({"loss": 1 / (step + 1)}, step=step)
    run.set_tags({"d": "e"})
store = client.tracking
found = store.get_run(run.run_id)
model = store.create_model(model_of(found, params={"a": "b"}, tags={"c": "d"}))
other = store.create_model(model_of(found))
point = Metric("auc", 0.5, 1, 0, model_id=model.model_id)
store.log_batch(RunBatch(run_id=run.run_id, metrics=(point, Metric("auc", 0.5, 1, 0, model_id=other.model_id))))
store.log_inputs(run.run_id, [dataset_input()], [model.model_id, other.model_id])
store.log_outputs(run.run_id, [ModelOutput(model_id=model.model_id, step=1)])
store.annotate_model(model.model_id, tags={"c": None, "e": "f"}, params={"g": "h"})
store.finalize_model(model.model_id, ModelStatus.READY)
assert len(store.run_models(run.run_id)) == 2
assert len(store.metric_history(run.run_id, "loss")) == 10
assert store.update_run(run.run_id, status=RunStatus.FINISHED, end_time=1).params == {"a": "1", "p": "1", "q": "2"}
assert store.find_experiment("Default") == store.get_experiment(experiment.experiment_id)
registry = client.registry
registry.create_registered_model("wine", tags={"a": "b"})
version = registry.create_version(version_of("wine", tags={"c": "d"}))
registry.move_alias(move_of("wine", None, version.version))
assert registry.version_by_alias("wine", "champion").tags == {"c": "d"}
assert len(registry.alias_history("wine")) == 1
client.close()
heavy = {"sqlalchemy", "alembic", "psycopg", "httpx", "rich", "asyncio", "numpy", "pandas"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""

FORKING = """
import os, sys
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.tracking import SqlTrackingStore
from ratoon.testing.values import run_of

database = Database(sys.argv[1])
store = SqlTrackingStore(database)
home = store.create_experiment("wine").experiment_id
assert store.search_runs([home]).items == ()
with database.reading() as connection:
    inherited = connection.driver
child = os.fork()
for number in range(20):
    store.create_run(run_of(home, run_name=f"{child != 0}"))
with database.reading() as connection:
    assert (connection.driver is inherited) is (child != 0)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
names = [run.run_name for run in store.search_runs([home]).items]
assert (names.count("True"), names.count("False")) == (20, 20), names
"""


def model(name: str) -> dict[str, object]:
    row = {"name": name, "description": "", "latest_version": 0}
    return row | {"creation_timestamp": 0, "last_updated_timestamp": 0}


def counted(connection: Connection) -> tuple[int, int]:
    """The rows of a table, as the driver and as SQLAlchemy see them."""
    by_core = connection.core.execute(select(func.count()).select_from(tables.registered_models)).scalar_one()
    return COUNT.first(connection, {}).found, by_core


@pytest.fixture
def threads() -> Iterator[Callable[[Callable[[], None], int], None]]:
    def run(work: Callable[[], None], count: int) -> None:
        started = [threading.Thread(target=work) for _ in range(count)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join(60)

    yield run


def test_to_record_a_run_needs_nothing_but_the_driver(uri: str, run_python: RunPython) -> None:
    run_python(RECORDING, uri)


def test_a_connection_does_not_cross_a_fork(uri: str, run_python: RunPython) -> None:
    run_python(FORKING, uri)


def test_sqlalchemy_takes_part_in_the_transaction(database: Database) -> None:
    with database.writing() as connection:
        connection.core.execute(tables.registered_models.insert().values(model("wine")))
        ADD.run(connection, {"name": "wine", "key": "a", "value": "b"})
        assert counted(connection) == (1, 1)
        assert connection.core is connection.core
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.core.execute(tables.registered_models.insert().values(model("beer")))
        assert counted(connection) == (2, 2)
        raise ZeroDivisionError
    with database.reading() as connection:
        assert counted(connection) == (1, 1)


def test_what_sqlalchemy_writes_in_a_part_is_undone_with_it(database: Database) -> None:
    def write(name: str) -> None:
        with database.writing() as connection:
            connection.core.execute(tables.registered_models.insert().values(model(name)))

    found = database.together([lambda: write("wine"), lambda: write("wine"), lambda: write("beer")])
    assert [type(each) for each in found] == [type(None), StoreError, type(None)]
    with database.reading() as connection:
        assert counted(connection) == (2, 2)


def test_who_only_reads_changes_nothing(database: Database) -> None:
    with database.reading() as connection:
        connection.core.execute(tables.registered_models.insert().values(model("wine")))
    with database.reading() as connection:
        assert counted(connection) == (0, 0)


def test_a_connection_is_used_again(database: Database) -> None:
    drivers = set()
    for _ in range(3):
        for transaction in (database.reading, database.writing):
            with transaction() as connection:
                counted(connection)
                drivers.add(connection.driver)
    assert len(drivers) == 1


def test_more_connections_than_are_kept_are_closed(database: Database) -> None:
    with ExitStack() as stack:
        drivers = [stack.enter_context(database.reading()).driver for _ in range(MOST_IDLE + 2)]
        assert len(set(drivers)) == len(drivers)
    assert [is_open(driver) for driver in drivers].count(True) == MOST_IDLE
    database.close()
    assert not any(map(is_open, drivers))


def test_a_connection_in_use_is_closed_behind_its_transaction(database: Database) -> None:
    with database.writing() as connection:
        database.close()
        assert is_open(connection.driver)
    assert not is_open(connection.driver)
    with database.reading() as connection:
        assert counted(connection) == (0, 0)


def is_open(driver: sqlite3.Connection) -> bool:
    try:
        driver.total_changes  # noqa: B018
    except sqlite3.ProgrammingError:
        return False
    return True


def test_threads_begin_to_search_at_once(database: Database, threads: Callable[..., None]) -> None:
    found = []

    def look() -> None:
        for _ in range(20):
            with database.reading() as connection:
                found.append(counted(connection))

    threads(look, 8)
    assert found == [(0, 0)] * 160
