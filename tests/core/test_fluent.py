from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import ratoon
from ratoon.entities import Dataset, Run, RunStatus
from ratoon.errors import InvalidInput
from ratoon.stores.sql.database import open_database
from ratoon.tracking import fluent
from ratoon.tracking.run import ActiveRun

WINE = Dataset(name="wine", digest="0a1b", source_type="local", source="data/wine.csv")


def stored(run: ActiveRun) -> Run:
    return run.client.tracking.get_run(run.run_id)


def names(run: ActiveRun, folder: str = "") -> set[str]:
    """What lies in a folder of a run's artifacts."""
    root = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    return {found.path for found in run.client.artifacts.list(f"{root}/{folder}".strip("/"))}


@pytest.fixture
def place(tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with a database of its own, in which the functions begin anew."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "ratoon.toml").write_text(f'tracking_uri = "{uri}"\n')
    monkeypatch.chdir(folder)
    monkeypatch.setattr(fluent, "_chosen", {})
    yield folder
    while ratoon.active_run():
        ratoon.end_run()
    open_database(uri).close()


def test_the_functions_log_to_the_active_run(place: Path) -> None:
    (place / "a.txt").write_text("a")
    with ratoon.start_run("first") as run:
        assert ratoon.active_run() is run
        ratoon.log_param("p", 1)
        ratoon.log_params({"q": 2})
        ratoon.log_metric("m", 1.0)
        ratoon.log_metrics({"n": 2.0})
        ratoon.set_tag("t", "x")
        ratoon.set_tags({"u": "y"})
        ratoon.log_artifact("a.txt")
        ratoon.log_artifacts(".", "all")
        ratoon.log_text("x", "x.txt")
        ratoon.log_dict({"a": 1}, "d.json")
        ratoon.log_input(WINE)
        ratoon.flush()
        assert set(stored(run).params) == {"p", "q"}
    found = stored(run)
    assert (found.status, set(found.metrics)) == (RunStatus.FINISHED, {"m", "n"})
    assert names(run) == {"a.txt", "all", "x.txt", "d.json"}
    assert names(run, "all") == {"a.txt", "ratoon.toml"}
    assert ratoon.active_run() is None


def test_a_run_begins_where_none_is_active(place: Path) -> None:
    ratoon.log_metric("m", 1.0)
    run = ratoon.active_run()
    assert run is not None
    ratoon.end_run(RunStatus.FAILED)
    assert stored(run).status == RunStatus.FAILED
    ratoon.end_run()
    ratoon.flush()


def test_a_nested_run_is_a_part_of_the_one_around_it(place: Path) -> None:
    with ratoon.start_run("outer") as outer:
        with pytest.raises(InvalidInput, match=f"run '{outer.run_id}' is active; end it.*or pass nested=True"):
            ratoon.start_run("second")
        with ratoon.start_run("inner", nested=True) as inner:
            ratoon.log_metric("m", 2.0)
        assert ratoon.active_run() is outer
        ratoon.log_metric("m", 1.0)
    assert stored(inner).tags["mlflow.parentRunId"] == outer.run_id
    assert stored(inner).metrics["m"].value == 2.0
    assert stored(outer).metrics["m"].value == 1.0
    with ratoon.start_run(nested=True) as alone:
        pass
    assert "mlflow.parentRunId" not in stored(alone).tags


def test_the_inner_run_that_fails_does_not_end_the_outer_one(place: Path) -> None:
    with ratoon.start_run() as outer:
        with pytest.raises(ZeroDivisionError), ratoon.start_run(nested=True) as inner:
            raise ZeroDivisionError
        assert stored(outer).status == RunStatus.RUNNING
    assert (stored(inner).status, stored(outer).status) == (RunStatus.FAILED, RunStatus.FINISHED)


def test_a_run_that_was_ended_in_its_block_keeps_its_status(place: Path) -> None:
    with ratoon.start_run() as run:
        ratoon.end_run(RunStatus.KILLED)
    assert stored(run).status == RunStatus.KILLED


def test_a_thread_pool_in_a_run_logs_to_it(place: Path) -> None:
    with ratoon.start_run() as run, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda step: ratoon.log_metric("m", 1.0, step), range(100)))
    assert len(run.client.tracking.metric_history(run.run_id, "m")) == 100


def test_two_open_runs_are_ambiguous_in_a_thread_that_started_none(place: Path) -> None:
    with ratoon.start_run() as outer, ratoon.start_run(nested=True), ThreadPoolExecutor(1) as pool:
        with pytest.raises(InvalidInput, match=r"2 runs are open and none was started in this thread; log to one"):
            pool.submit(ratoon.log_metric, "m", 1.0).result()
        pool.submit(outer.log_metric, "m", 1.0).result()
    assert set(stored(outer).metrics) == {"m"}


def test_a_run_that_another_thread_ended_is_active_nowhere(place: Path) -> None:
    with ratoon.start_run() as run:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(ratoon.end_run, RunStatus.KILLED).result()
        assert ratoon.active_run() is None
    assert stored(run).status == RunStatus.KILLED


def test_each_thread_has_its_own_run(place: Path) -> None:
    together = threading.Barrier(4)

    def train(number: int) -> ActiveRun:
        together.wait(20)
        with ratoon.start_run(f"r{number}") as run:
            together.wait(20)
            ratoon.log_param("number", number)
            together.wait(20)
        return run

    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(train, range(4)))
    assert [stored(run).params for run in runs] == [{"number": str(number)} for number in range(4)]


def test_a_run_goes_on_by_its_id(place: Path) -> None:
    with ratoon.start_run() as first:
        ratoon.log_metric("m", 1.0, 1)
    with ratoon.start_run(run_id=first.run_id):
        ratoon.log_metric("m", 2.0, 2)
    assert len(first.client.tracking.metric_history(first.run_id, "m")) == 2


def test_experiment_and_place_are_chosen_for_what_follows(place: Path, tmp_path: Path) -> None:
    ratoon.set_experiment("wine")
    with ratoon.start_run() as run:
        for choose in (ratoon.set_experiment, ratoon.set_tracking_uri):
            with pytest.raises(InvalidInput, match=f"cannot change while run '{run.run_id}' is active; end it first"):
                choose("other")
    assert run.client.tracking.get_experiment(run.experiment_id).name == "wine"
    other = f"sqlite:///{tmp_path}/other.db"
    ratoon.set_tracking_uri(other)
    with ratoon.start_run(experiment="beer") as elsewhere:
        pass
    assert elsewhere.client.settings.tracking_uri == other
    assert elsewhere.client.tracking.find_experiment("beer") is not None
    assert run.client.tracking.find_experiment("beer") is None
    open_database(other).close()


def test_a_place_that_no_plugin_opens_is_refused(place: Path) -> None:
    ratoon.set_tracking_uri("gopher://host")
    with pytest.raises(InvalidInput, match="tracking URI 'gopher://host' is opened by no plugin; correct it"):
        ratoon.start_run()
    assert ratoon.active_run() is None
