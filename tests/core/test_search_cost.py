"""What a search asks of the database: how many statements, and which indexes answer them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from msgspec.structs import replace

from ratoon.entities import LifecycleStage, Metric, Page, Query, RunBatch, ViewType
from ratoon.stores.sql import run_search
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.registry import SqlRegistry
from ratoon.stores.sql.tracking import SqlTrackingStore
from ratoon.testing.values import dataset_input, model_of, move_of, point, run_of, version_of

Statements = list[tuple[str, object]]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Database]:
    """One database for all: nothing here changes what is in it."""
    path = tmp_path_factory.mktemp("cost") / "ratoon.db"
    shutil.copyfile(empty_database, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def statements(database: Database) -> Iterator[Statements]:
    """Every statement that SQLAlchemy asks the database from now on."""
    asked: Statements = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        asked.append((statement, parameters))

    with database.reading() as connection:
        engine = connection.core.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", note)
    yield asked
    sqlalchemy.event.remove(engine, "before_cursor_execute", note)


@pytest.fixture(scope="module")
def home(database: Database) -> str:
    """An experiment with forty runs that recorded something of everything."""
    store = SqlTrackingStore(database)
    home = store.create_experiment("wine").experiment_id
    for number in range(40):
        run = store.create_run(run_of(home, start_time=number, params={"p": str(number % 4)}, tags={"t": "x"}))
        model = store.create_model(model_of(run, params={"a": "b"}, tags={"c": "d"}))
        metric = Metric("auc", number / 40, 1, 0, model_id=model.model_id)
        store.log_batch(RunBatch(run_id=run.run_id, metrics=(metric, point("loss", 1.0))))
        store.log_inputs(run.run_id, [dataset_input()], [model.model_id])
    return home


def counted(statements: list[str]) -> int:
    found = sum(statement.startswith("SELECT") for statement in statements)
    statements.clear()
    return found


def test_a_page_costs_as_many_statements_whatever_it_holds(database: Database, home: str) -> None:
    store, registry = SqlTrackingStore(database), SqlRegistry(database)
    for name in ("a", "b", "c"):
        registry.create_registered_model(name, tags={"x": "y"})
        for _ in range(3):
            registry.create_version(version_of(name, tags={"x": "y"}))
        registry.move_alias(move_of(name, None, 2))
    statements: list[str] = []
    with database.reading() as connection:  # the only one of this thread
        connection.driver.set_trace_callback(statements.append)
    for search in (
        lambda limit: store.search_runs([home], Query(limit=limit)),
        lambda limit: store.search_models([home], Query(limit=limit)),
        lambda limit: store.search_experiments(Query(limit=limit)),
        lambda limit: registry.search_registered_models(Query(limit=limit)),
        lambda limit: registry.search_versions(Query(limit=limit)),
    ):
        pages: list[Page[object]] = []
        costs = []
        for limit in (2, 50):
            pages.append(search(limit))  # type: ignore[no-untyped-call]
            costs.append(counted(statements))
        assert costs[0] == costs[1] <= 9


WALKS = {
    Query(
        order_by=("metrics.auc DESC",), filter="metrics.auc > 0.5"
    ): "metrics_by_value (experiment_id=? AND key=? AND is_nan=? AND value>? AND value<?)",
    Query(order_by=("params.p",)): "params_by_value (experiment_id=? AND key=? AND value>?)",
    Query(order_by=("tags.t",)): "tags_by_value (experiment_id=? AND key=? AND value>?)",
    Query(): "runs_by_start (experiment_id=? AND lifecycle_stage=? AND start_time<?)",
    Query(filter="params.p = '1'"): "runs_by_start (experiment_id=? AND lifecycle_stage=? AND start_time<?)",
    Query(order_by=("start_time",)): "runs_by_start (experiment_id=? AND lifecycle_stage=? AND start_time>?)",
}


@pytest.mark.parametrize("query", WALKS, ids=lambda query: f"{query.filter} {query.order_by}")
def test_a_walk_begins_where_the_page_before_ended(
    database: Database, home: str, statements: Statements, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_search, "FEW", 0)
    store = SqlTrackingStore(database)
    query = replace(query, limit=3)
    token = store.search_runs([home], query).next_token
    statements.clear()
    assert store.search_runs([home], replace(query, page_token=token)).items
    (plan,) = [plan_of(database, *asked) for asked in list(statements) if "sort_key_0" in asked[0]]
    assert WALKS[replace(query, limit=100)] in plan[0]
    # The order comes out of the index, at least that of its first key.
    assert not any(step == "USE TEMP B-TREE FOR ORDER BY" for step in plan)


def test_a_comparison_that_few_runs_fulfil_names_the_runs_to_look_at(
    database: Database, home: str, statements: Statements
) -> None:
    query = Query(filter="metrics.auc > 0.9", order_by=("metrics.loss",), view=ViewType.ALL)
    assert len(SqlTrackingStore(database).search_runs([home], query).items) == 3
    (plan,) = [plan_of(database, *asked) for asked in list(statements) if "sort_key_0" in asked[0]]
    steps = "\n".join(plan)
    assert "metrics_by_value (experiment_id=? AND key=? AND is_nan=? AND value>?)" in steps
    assert "SEARCH runs USING INTEGER PRIMARY KEY" in steps
    assert "SCAN runs" not in steps


def plan_of(database: Database, statement: str, parameters: object) -> list[str]:
    with database.reading() as connection:
        found = connection.core.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
        return [row[3] for row in found]


def test_a_deleted_run_leaves_the_pages_behind(uri: str) -> None:
    database = Database(uri)
    store = SqlTrackingStore(database)
    home = store.create_experiment("wine").experiment_id
    for number in range(12):
        run = store.create_run(run_of(home))
        store.log_batch(RunBatch(run_id=run.run_id, metrics=(point("auc", float(number)),)))
    query = Query(order_by=("metrics.auc DESC",), limit=4)
    first = store.search_runs([home], query)
    for run in first.items[2:]:
        store.move_run(run.run_id, LifecycleStage.DELETED)
    second = store.search_runs([home], replace(query, page_token=first.next_token))
    assert [run.metrics["auc"].value for run in second.items] == [7, 6, 5, 4]
    database.close()
