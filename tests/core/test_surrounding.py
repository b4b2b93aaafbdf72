"""The logging functions inside code that somebody else tracks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ratoon
from ratoon.entities import RunStatus
from ratoon.tracking import surrounding
from ratoon.tracking.client import Client
from ratoon.tracking.run import ActiveRun


@pytest.fixture
def tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ActiveRun]:
    monkeypatch.chdir(tmp_path)
    client = Client(tracking_uri=f"sqlite:///{tmp_path}/runs.db")
    run = client.start_run()
    surrounding.enter(run)
    yield run
    surrounding.leave(run)
    run.end()
    client.close()


def test_the_logging_functions_write_to_the_run_around_them(tracked: ActiveRun) -> None:
    ratoon.log_metric("loss", 0.5, step=1)
    ratoon.log_param("depth", 3)
    ratoon.flush()
    stored = tracked.client.tracking.get_run(tracked.run_id)
    assert (stored.metrics["loss"].value, stored.params) == (0.5, {"depth": "3"})
    assert ratoon.active_run() is tracked


def test_threads_that_the_code_starts_write_to_it_too(tracked: ActiveRun) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(ratoon.active_run).result() is tracked


def test_it_is_not_ended_by_the_code(tracked: ActiveRun) -> None:
    ratoon.end_run()
    assert tracked.client.tracking.get_run(tracked.run_id).status is RunStatus.RUNNING


def test_a_run_that_the_code_starts_goes_before_and_may_be_a_part_of_it(tracked: ActiveRun) -> None:
    with ratoon.start_run(nested=True) as inner:
        assert ratoon.active_run() is inner
        assert inner.info.tags["mlflow.parentRunId"] == tracked.run_id
    assert ratoon.active_run() is tracked


def test_nothing_is_around_after_it_was_left(tracked: ActiveRun) -> None:
    surrounding.enter(tracked)
    surrounding.leave(tracked)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(surrounding.surrounding_run).result() is tracked
    surrounding.leave(tracked)
    assert surrounding.surrounding_run() is None
