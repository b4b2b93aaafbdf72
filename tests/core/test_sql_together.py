"""Several writes in one transaction: each stands for itself, and none is answered before all are durable."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from ratoon.entities import RunBatch
from ratoon.errors import InvalidInput, NotFound, RatoonError, StoreError
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.tracking import SqlTrackingStore
from ratoon.stores.sql.transactions import LOCK_SECONDS
from ratoon.testing.values import point, run_of

Work = Callable[[], None]


@pytest.fixture
def store(database: Database) -> SqlTrackingStore:
    return SqlTrackingStore(database)


def new_runs(store: SqlTrackingStore, count: int) -> list[str]:
    home = store.create_experiment("together").experiment_id
    return [store.create_run(run_of(home)).run_id for _ in range(count)]


def logging(store: SqlTrackingStore, run_id: str, **params: str) -> Work:
    return partial(store.log_batch, RunBatch(run_id=run_id, metrics=(point("loss", 1.0, 0),), params=params))


def driver_of(database: Database) -> sqlite3.Connection:
    """The only connection, as long as one thread works."""
    with database.reading() as connection:
        driver: sqlite3.Connection = connection.driver
        return driver


def commits(database: Database) -> list[str]:
    seen: list[str] = []
    driver_of(database).set_trace_callback(lambda text: seen.append(text) if text == "COMMIT" else None)
    return seen


def refuse(database: Database, *, wanted: str, times: int) -> list[str]:
    """Have SQLite refuse to begin or to commit so many times."""
    seen: list[str] = []

    def judge(action: int, what: str | None, *_rest: object) -> int:
        if action != sqlite3.SQLITE_TRANSACTION or what != wanted:
            return sqlite3.SQLITE_OK
        seen.append(wanted)
        return sqlite3.SQLITE_DENY if len(seen) <= times else sqlite3.SQLITE_OK

    driver_of(database).set_authorizer(judge)
    return seen


def test_many_writes_share_a_commit(store: SqlTrackingStore, database: Database) -> None:
    runs = new_runs(store, 5)
    seen = commits(database)
    assert store.together([logging(store, run, a="1") for run in runs]) == [None] * 5
    assert len(seen) == 1
    assert [store.get_run(run).params for run in runs] == [{"a": "1"}] * 5
    assert store.together([]) == []


def test_what_they_return_is_kept_in_order(store: SqlTrackingStore) -> None:
    first, second = new_runs(store, 2)
    found = store.together([partial(store.update_run, run, run_name=run[:3]) for run in (first, second)])
    assert [each if isinstance(each, Exception) else each.run_name for each in found] == [first[:3], second[:3]]


def test_one_that_fails_harms_no_other(store: SqlTrackingStore, database: Database) -> None:
    runs = new_runs(store, 3)
    store.log_batch(RunBatch(run_id=runs[1], params={"a": "before"}))
    seen = commits(database)
    found = store.together(
        [
            logging(store, runs[0], a="1"),
            logging(store, runs[1], a="other", b="2"),
            logging(store, "f" * 32),
            lambda: [][0],  # a mistake of the program
            logging(store, runs[2], a="3"),
        ]
    )
    assert [type(each) for each in found] == [type(None), InvalidInput, NotFound, IndexError, type(None)]
    assert len(seen) == 1
    assert [store.get_run(run).params for run in runs] == [{"a": "1"}, {"a": "before"}, {"a": "3"}]
    assert [len(store.metric_history(run, "loss")) for run in runs] == [1, 0, 1]


def test_the_first_of_two_values_wins(store: SqlTrackingStore) -> None:
    (run,) = new_runs(store, 1)
    found = store.together([logging(store, run, a="1"), logging(store, run, a="2"), logging(store, run, a="1")])
    assert [type(each) for each in found] == [type(None), InvalidInput, type(None)]
    assert store.get_run(run).params == {"a": "1"}


def test_nothing_is_seen_before_the_commit(store: SqlTrackingStore, database: Database) -> None:
    runs = new_runs(store, 2)
    seen: list[int] = []

    def look() -> None:
        assert store.get_run(runs[0]).params == {"a": "1"}  # within, the transaction sees itself
        with closing(sqlite3.connect(database.uri.removeprefix("sqlite:///"))) as file:
            seen.append(file.execute("SELECT count(*) FROM params").fetchone()[0])

    assert store.together([logging(store, runs[0], a="1"), look]) == [None, None]
    assert seen == [0]
    assert store.get_run(runs[0]).params == {"a": "1"}


def test_a_transaction_that_the_database_undoes_is_repeated_one_by_one(
    store: SqlTrackingStore, database: Database
) -> None:
    runs = new_runs(store, 3)

    def undo() -> None:
        with database.writing() as connection:
            connection.driver.execute("ROLLBACK")
            raise OSError(28, "No space left on device")

    seen = commits(database)
    found = store.together([logging(store, runs[0], a="1"), undo, logging(store, runs[2], a="3")])
    assert [type(each) for each in found] == [type(None), StoreError, type(None)]
    assert len(seen) == 2
    assert [store.get_run(run).params for run in runs] == [{"a": "1"}, {}, {"a": "3"}]
    assert [len(store.metric_history(run, "loss")) for run in runs] == [1, 0, 1]


def test_a_commit_that_fails_is_repeated_one_by_one(store: SqlTrackingStore, database: Database) -> None:
    runs = new_runs(store, 2)
    seen = commits(database)
    refused = refuse(database, wanted="COMMIT", times=1)
    assert store.together([logging(store, run, a="1") for run in runs]) == [None, None]
    assert (len(refused), len(seen)) == (2, 2)  # one that was refused, and those of the two
    assert [store.get_run(run).params for run in runs] == [{"a": "1"}] * 2
    assert [len(store.metric_history(run, "loss")) for run in runs] == [1, 1]


def test_a_database_that_cannot_be_written_to_is_tried_once(store: SqlTrackingStore, database: Database) -> None:
    runs = new_runs(store, 2)
    refused = refuse(database, wanted="BEGIN", times=9)
    found = store.together([logging(store, run) for run in runs])
    assert [type(each) for each in found] == [StoreError, StoreError]
    assert len(refused) == 1


def test_threads_do_not_share_what_they_do(store: SqlTrackingStore) -> None:
    runs = new_runs(store, 2)
    failed: list[RatoonError] = []

    def elsewhere() -> None:
        try:
            store.log_batch(RunBatch(run_id=runs[1], params={"a": "2"}))
        except RatoonError as error:
            failed.append(error)

    thread = threading.Thread(target=elsewhere)
    assert store.together([logging(store, runs[0], a="1"), thread.start]) == [None, None]
    thread.join(30)
    assert not failed
    assert [store.get_run(run).params for run in runs] == [{"a": "1"}, {"a": "2"}]


def test_only_sqlite_gains_by_it(database: Database, postgresql_database: Database, tmp_path: Path) -> None:
    assert SqlTrackingStore(database).shares_commits
    store = SqlTrackingStore(postgresql_database)
    assert not store.shares_commits


def test_a_writer_finds_the_gap_between_transactions(store: SqlTrackingStore, database: Database) -> None:
    (run,) = new_runs(store, 1)
    done = threading.Event()

    def keep_busy() -> None:
        with closing(sqlite3.connect(database.uri.removeprefix("sqlite:///"), isolation_level=None)) as file:
            while not done.is_set():
                file.execute("BEGIN IMMEDIATE")
                time.sleep(0.02)
                file.execute("COMMIT")
                time.sleep(0.001)

    thread = threading.Thread(target=keep_busy)
    thread.start()
    try:
        began = time.monotonic()
        for number in range(5):
            store.log_batch(RunBatch(run_id=run, params={str(number): ""}))
        assert time.monotonic() - began < LOCK_SECONDS / 2
    finally:
        done.set()
        thread.join(30)


def test_a_writer_does_not_wait_forever(
    store: SqlTrackingStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = new_runs(store, 1)
    monkeypatch.setattr("ratoon.stores.sql.transactions.LOCK_SECONDS", 0)
    with closing(sqlite3.connect(database.uri.removeprefix("sqlite:///"), isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="database is locked"):
            store.log_batch(RunBatch(run_id=run, params={"a": "1"}))
        file.execute("ROLLBACK")
    store.log_batch(RunBatch(run_id=run, params={"a": "2"}))
    assert store.get_run(run).params == {"a": "2"}
