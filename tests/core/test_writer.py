from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ratoon.entities import Metric, Run, RunBatch
from ratoon.errors import InvalidInput, RatoonError, StoreError
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.tracking import SqlTrackingStore
from ratoon.testing.values import point, run_of
from ratoon.tracking import writer as module
from ratoon.tracking.writer import Param, Tag, Writer


class SometimesFailing(SqlTrackingStore):
    """The real store, whose disk can be taken away and which counts its transactions."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.failure: Exception | None = None
        self.batches: list[RunBatch] = []
        self.gate = threading.Event()
        self.gate.set()

    def log_batch(self, batch: RunBatch) -> None:
        self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        super().log_batch(batch)
        self.batches.append(batch)


@pytest.fixture
def store(database: Database) -> SometimesFailing:
    return SometimesFailing(database)


@pytest.fixture
def run(store: SometimesFailing) -> Run:
    return store.create_run(run_of(store.create_experiment("wine").experiment_id))


@pytest.fixture
def writer(store: SometimesFailing) -> Iterator[Writer]:
    writer = Writer(store)
    yield writer
    store.failure = None
    store.gate.set()
    writer.drain()
    # What a test left unwritten on purpose is not to be told when pytest ends.
    writer._kept.clear()
    writer._errors.clear()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_flush_returns_when_everything_before_is_stored(writer: Writer, store: SometimesFailing, run: Run) -> None:
    for step in range(1000):
        writer.put(run.run_id, point("m", float(step), step))
    writer.put(run.run_id, Param("p", "1"))
    writer.put(run.run_id, Tag("t", "1"))
    writer.flush(run.run_id)
    found = store.get_run(run.run_id)
    assert [metric.step for metric in store.metric_history(run.run_id, "m")] == list(range(1000))
    assert (found.params, found.tags) == ({"p": "1"}, {"t": "1"})


def test_values_are_stored_without_a_flush(writer: Writer, store: SometimesFailing, run: Run) -> None:
    for number in range(3):
        writer.put(run.run_id, Tag(f"t{number}", "x"))
        until(lambda number=number: f"t{number}" in store.get_run(run.run_id).tags)


def test_a_flush_without_values_returns(writer: Writer, run: Run) -> None:
    for _ in range(3):
        writer.flush(run.run_id)


def test_values_that_wait_are_written_in_one_batch(writer: Writer, store: SometimesFailing, run: Run) -> None:
    store.gate.clear()
    for step in range(100):
        writer.put(run.run_id, point("m", 1.0, step))
    store.gate.set()
    writer.flush(run.run_id)
    assert len(store.batches) <= 3
    assert sum(len(batch.metrics) for batch in store.batches) == 100


def test_the_last_tag_stays(writer: Writer, store: SometimesFailing, run: Run) -> None:
    for value in ("first", "second", "last"):
        writer.put(run.run_id, Tag("t", value))
    writer.flush(run.run_id)
    assert store.get_run(run.run_id).tags == {"t": "last"}


def test_too_many_waiting_values_make_the_caller_wait(
    writer: Writer, store: SometimesFailing, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHERED", 50)
    monkeypatch.setattr(module, "MOST_WAITING", 50)
    store.gate.clear()
    reached: list[int] = []

    def put() -> None:
        for step in range(60):
            writer.put(run.run_id, point("m", 1.0, step))
            reached.append(step)

    thread = threading.Thread(target=put)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive() and len(reached) < 60
    store.gate.set()
    thread.join(20)
    writer.flush(run.run_id)
    assert len(store.metric_history(run.run_id, "m")) == 60


def test_what_cannot_be_written_is_kept_and_written_later(writer: Writer, store: SometimesFailing, run: Run) -> None:
    store.failure = StoreError("the disk is gone; put it back")
    writer.put(run.run_id, point("m", 1.0, 1))
    for _ in range(2):
        with pytest.raises(StoreError, match="the disk is gone"):
            writer.flush(run.run_id)
    writer.put(run.run_id, point("m", 1.0, 2))
    writer.put(run.run_id, Tag("t", "x"))
    store.failure = None
    writer.flush(run.run_id)
    assert [metric.step for metric in store.metric_history(run.run_id, "m")] == [1, 2]
    assert store.get_run(run.run_id).tags == {"t": "x"}


def test_a_failure_that_healed_by_itself_is_no_error(writer: Writer, store: SometimesFailing, run: Run) -> None:
    store.failure = StoreError("busy")
    writer.put(run.run_id, point("m", 1.0, 1))
    until(lambda: writer._errors)
    store.failure = None
    writer.flush(run.run_id)
    assert len(store.metric_history(run.run_id, "m")) == 1


def test_one_run_that_fails_does_not_keep_the_others(writer: Writer, store: SometimesFailing, run: Run) -> None:
    unknown = "f" * 32
    writer.put(unknown, Tag("t", "x"))
    writer.put(run.run_id, Tag("t", "x"))
    writer.flush(run.run_id)
    assert store.get_run(run.run_id).tags == {"t": "x"}
    with pytest.raises(RatoonError, match=unknown):
        writer.flush(unknown)


def test_a_bug_of_the_store_does_not_end_the_thread(
    writer: Writer, store: SometimesFailing, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    store.failure = ZeroDivisionError("a bug")
    writer.put(run.run_id, Tag("lost", "x"))
    with caplog.at_level(logging.ERROR), pytest.raises(RatoonError, match="ZeroDivisionError.*see the log"):
        writer.flush(run.run_id)
    assert caplog.records[0].exc_info is not None
    store.failure = None
    writer.put(run.run_id, Tag("kept", "x"))
    writer.flush(run.run_id)
    assert store.get_run(run.run_id).tags == {"kept": "x"}


def test_a_param_that_somebody_else_wrote_is_refused_alone(writer: Writer, store: SometimesFailing, run: Run) -> None:
    SqlTrackingStore(store._database).log_batch(RunBatch(run_id=run.run_id, params={"p": "theirs"}))
    store.gate.clear()
    for entry in (Param("p", "mine"), Param("q", "mine"), Tag("t", "x"), point("m", 1.0)):
        writer.put(run.run_id, entry)
    store.gate.set()
    with pytest.raises(InvalidInput, match="'theirs' and cannot become 'mine'"):
        writer.flush(run.run_id)
    found = store.get_run(run.run_id)
    assert found.params == {"p": "theirs", "q": "mine"}
    assert (found.tags, set(found.metrics)) == ({"t": "x"}, {"m"})
    writer.flush(run.run_id)


def test_a_failure_while_parts_are_written_loses_none_of_them(database: Database, run: Run) -> None:
    class FailsThen(SqlTrackingStore):
        broken = True

        def log_batch(self, batch: RunBatch) -> None:
            if self.broken and "p" not in batch.params:
                raise StoreError("busy")
            super().log_batch(batch)

    store = FailsThen(database)
    SqlTrackingStore(database).log_batch(RunBatch(run_id=run.run_id, params={"p": "theirs"}))
    writer = Writer(store)
    for entry in (Param("p", "mine"), Param("q", "mine"), Tag("t", "x"), point("m", 1.0)):
        writer.put(run.run_id, entry)
    with pytest.raises(RatoonError):
        writer.flush(run.run_id)
    store.broken = False
    writer.drain()
    found = store.get_run(run.run_id)
    assert (found.params, found.tags, set(found.metrics)) == ({"p": "theirs", "q": "mine"}, {"t": "x"}, {"m"})


def test_many_threads_lose_nothing(writer: Writer, store: SometimesFailing, run: Run) -> None:
    def put(number: int) -> None:
        for step in range(200):
            writer.put(run.run_id, Metric(f"m{number}", 1.0, 0, step))
        writer.flush(run.run_id)
        assert len(store.metric_history(run.run_id, f"m{number}")) == 200

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(store.get_run(run.run_id).metrics) == 8


def test_values_that_come_one_by_one_share_transactions(writer: Writer, store: SometimesFailing, run: Run) -> None:
    for step in range(100):
        writer.put(run.run_id, point("m", 1.0, step))
        time.sleep(0.001)
    writer.flush(run.run_id)
    assert len(store.batches) < 20
    assert len(store.metric_history(run.run_id, "m")) == 100


def test_what_could_not_be_written_is_written_without_being_asked(
    writer: Writer, store: SometimesFailing, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST_SECONDS", (0.01, 0.02))
    store.failure = StoreError("busy")
    writer.put(run.run_id, point("m", 1.0, 1))
    until(lambda: writer._errors)
    store.failure = None
    until(lambda: store.batches)
    writer.flush(run.run_id)
    assert len(store.metric_history(run.run_id, "m")) == 1


def test_an_interrupted_flush_loses_nothing(writer: Writer, store: SometimesFailing, run: Run) -> None:
    store.failure = KeyboardInterrupt()  # type: ignore[assignment]
    writer._asleep = False  # the thread is not to come first
    writer.put(run.run_id, point("m", 1.0, 1))
    with pytest.raises(KeyboardInterrupt):
        writer.flush(run.run_id)
    store.failure = None
    writer.put(run.run_id, point("m", 1.0, 2))
    writer.flush(run.run_id)
    assert [metric.step for metric in store.metric_history(run.run_id, "m")] == [1, 2]


def test_memory_is_bounded_while_nothing_can_be_written(
    writer: Writer, store: SometimesFailing, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in (("GATHERED", 20), ("MOST_WAITING", 20), ("MOST_KEPT", 100)):
        monkeypatch.setattr(module, name, number)
    store.failure = StoreError("the disk is full")
    with pytest.raises(StoreError, match=r"values wait to be written .* \(the disk is full\); flush when it works"):
        for step in range(1000):
            writer.put(run.run_id, point("m", 1.0, step))
    assert 100 < step < 150
    store.failure = None
    writer.flush(run.run_id)
    writer.put(run.run_id, point("m", 1.0, step))
    writer.flush(run.run_id)
    assert len(store.metric_history(run.run_id, "m")) == step + 1
