from __future__ import annotations

import decimal
import json
import math
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ratoon.entities import Dataset, LifecycleStage, Run, RunStatus
from ratoon.errors import InvalidInput, NotFound
from ratoon.hookspecs import hookimpl
from ratoon.tracking.client import Client
from ratoon.tracking.run import ActiveRun

MakeClient = Callable[..., Client]
RunPython = Callable[..., "subprocess.CompletedProcess[str]"]
WINE = Dataset(name="wine", digest="0a1b", source_type="local", source="data/wine.csv", schema="{}", profile=None)


def stored(run: ActiveRun) -> Run:
    return run.client.tracking.get_run(run.run_id)


def files(run: ActiveRun, folder: str = "") -> dict[str, bytes]:
    """The artifacts of a run, by path."""
    root = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    found: dict[str, bytes] = {}
    for entry in run.client.artifacts.list(f"{root}/{folder}".strip("/")):
        path = f"{folder}/{entry.path}".strip("/")
        found |= files(run, path) if entry.is_dir else {path: b"".join(run.client.artifacts.read(f"{root}/{path}"))}
    return found


def test_a_run_knows_its_surroundings(client: Client) -> None:
    with client.start_run(experiment="wine", run_name="first", tags={"note": "x"}) as run:
        pass
    found = stored(run)
    assert client.tracking.get_experiment(found.experiment_id).name == "wine"
    assert (found.run_name, found.user_id, found.lifecycle_stage) == ("first", "ada", LifecycleStage.ACTIVE)
    assert found.tags["mlflow.runName"] == "first" and found.tags["note"] == "x"
    assert {"mlflow.user", "mlflow.source.name", "ratoon.command", "ratoon.python", "ratoon.host"} <= set(found.tags)
    assert found.artifact_uri.endswith(f"/{run.run_id}/artifacts")
    assert found.end_time is not None and found.start_time <= found.end_time


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, RunStatus.FINISHED),
        (ValueError(), RunStatus.FAILED),
        (KeyboardInterrupt(), RunStatus.KILLED),
        (SystemExit(1), RunStatus.KILLED),
        (SystemExit("no"), RunStatus.KILLED),
        (SystemExit(0), RunStatus.FINISHED),
        (SystemExit(), RunStatus.FINISHED),
    ],
)
def test_how_a_run_is_left_is_its_status(client: Client, error: BaseException | None, status: RunStatus) -> None:
    try:
        with client.start_run() as run:
            assert stored(run).status == RunStatus.RUNNING
            run.log_metric("m", 1.0)
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    found = stored(run)
    assert (found.status, set(found.metrics)) == (status, {"m"})
    assert found.end_time is not None


def test_a_run_goes_on_under_its_id(client: Client, make_client: MakeClient) -> None:
    run_id = uuid.uuid4().hex
    with client.start_run(run_id=run_id, run_name="mine") as run:
        run.log_param("p", 1)
    with make_client().start_run(run_id=run_id, tags={"again": "yes"}) as again:
        assert stored(again).status == RunStatus.RUNNING
        assert stored(again).end_time is None
        again.log_param("p", 1)
        with pytest.raises(InvalidInput, match="param 'p' of run .* is '1' and cannot become '2'"):
            again.log_param("p", 2)
    found = stored(run)
    assert (found.status, found.run_name, found.tags["again"]) == (RunStatus.FINISHED, "mine", "yes")
    assert len(client.tracking.search_runs().items) == 1


@pytest.mark.parametrize("run_id", ["", "abc", "A" * 32, "g" * 32, "0" * 33, "../../etc"])
def test_a_run_id_of_another_form_is_refused(client: Client, run_id: str) -> None:
    with pytest.raises(InvalidInput, match="run id .* is not allowed; give 32 hexadecimal digits"):
        client.start_run(run_id=run_id)


def test_an_attached_run_is_written_to_and_not_started_again(client: Client, make_client: MakeClient) -> None:
    with client.start_run() as run:
        attached = make_client().attach(run.run_id)
        attached.log_metric("m", 1.0)
        attached.flush()
        assert stored(run).status == RunStatus.RUNNING
    assert set(stored(run).metrics) == {"m"}
    with pytest.raises(NotFound):
        client.attach("0" * 32)


def test_observers_hear_of_a_run_when_it_is_stored(make_client: MakeClient, tmp_path: Path) -> None:
    heard: list[tuple[Any, ...]] = []

    class Observer:
        @hookimpl
        def run_started(self, run: Run) -> None:
            heard.append(("started", run.status))

        @hookimpl
        def run_finished(self, run: Run) -> None:
            heard.append(("finished", run.status, set(run.metrics)))
            raise ValueError("an observer never loses a run")

        @hookimpl
        def artifact_logged(self, run_id: str, path: str) -> None:
            heard.append(("artifact", path))

    with make_client(Observer()).start_run() as run:
        run.log_metric("m", 1.0)
        run.log_text("x", "folder/x.txt")
    finished = ("finished", RunStatus.FINISHED, {"m"})
    assert heard == [("started", RunStatus.RUNNING), ("artifact", "folder/x.txt"), finished]


def test_a_refused_value_does_not_leave_the_run_open(client: Client, make_client: MakeClient) -> None:
    with pytest.raises(InvalidInput, match="cannot become 'mine'"), client.start_run() as run:
        other = make_client().attach(run.run_id)
        other.log_param("p", "theirs")
        other.flush()
        run.log_param("p", "mine")
    assert stored(run).status == RunStatus.FINISHED


def test_a_command_that_is_no_text_does_not_keep_a_run_from_starting(run_python: RunPython, uri: str) -> None:
    script = "import ratoon, sys; ratoon.Client(tracking_uri=sys.argv[1]).start_run().end()"
    run_python(script, uri, "\udcff")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1, 1.0),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.array(2.5), 2.5),
        (decimal.Decimal("0.25"), 0.25),
        (math.inf, math.inf),
        (-0.0, 0.0),
    ],
)
def test_whatever_is_a_number_is_a_metric(client: Client, value: Any, wanted: float) -> None:
    with client.start_run() as run:
        run.log_metric("m", value, step=np.int64(3), timestamp=5)  # type: ignore[arg-type]
    (found,) = client.tracking.metric_history(run.run_id, "m")
    assert (found.value, found.step, found.timestamp) == (wanted, 3, 5)


def test_nan_is_logged(client: Client) -> None:
    with client.start_run() as run:
        run.log_metrics({"a": math.nan, "b": 1.0}, step=2)
    found = stored(run).metrics
    assert math.isnan(found["a"].value) and found["b"].value == 1.0
    assert found["a"].timestamp == found["b"].timestamp


@pytest.mark.parametrize("value", ["0.5", b"1", True, None, [1.0], 1j, object(), np.array([1.0, 2.0]), 10**400])
def test_what_is_no_number_is_refused_where_it_is_logged(client: Client, value: Any) -> None:
    with client.start_run() as run, pytest.raises(InvalidInput, match="metric 'm' cannot take the value .*; give "):
        run.log_metric("m", value)
    assert stored(run).metrics == {}


@pytest.mark.parametrize("step", [1.5, "1", None, 2**63])
def test_what_is_no_step_is_refused_where_it_is_logged(client: Client, step: Any) -> None:
    with client.start_run() as run, pytest.raises(InvalidInput, match="metric 'm' .*; give "):
        run.log_metric("m", 1.0, step=step)


def test_params_and_tags_are_kept_as_text(client: Client) -> None:
    with client.start_run() as run:
        run.log_params({"depth": 3, "none": None, "list": [1, "a"], "empty": ""})
        run.set_tags({"flag": True})
        run.set_tag("flag", False)
    assert stored(run).params == {"depth": "3", "none": "None", "list": "[1, 'a']", "empty": ""}
    assert stored(run).tags["flag"] == "False"


@pytest.mark.parametrize("method", ["log_param", "set_tag", "log_metric"])
def test_a_key_that_cannot_be_stored_is_refused_where_it_is_logged(client: Client, method: str) -> None:
    with client.start_run() as run:
        for key in ("", "a?b", "../a", 3):
            with pytest.raises(InvalidInput, match="key .* is not allowed"):
                getattr(run, method)(key, 1)


def test_text_that_cannot_be_stored_is_refused_where_it_is_logged(client: Client) -> None:
    with client.start_run() as run:
        with pytest.raises(InvalidInput, match="value of param 'p' has 6001 characters; 6000 are allowed"):
            run.log_param("p", "x" * 6001)
        with pytest.raises(InvalidInput, match="value of tag 't' has 8001 characters"):
            run.set_tag("t", "x" * 8001)
        for call in (run.log_param, run.set_tag):
            with pytest.raises(InvalidInput, match="holds a NUL or a lone surrogate"):
                call("a", "\ud800")
        with pytest.raises(InvalidInput, match="text 'a.txt' holds a lone surrogate"):
            run.log_text("\ud800", "a.txt")
    assert stored(run).params == {}


def test_a_dataset_is_recorded_with_its_role(client: Client) -> None:
    with client.start_run() as run:
        run.log_input(WINE, "training")
        run.log_input(WINE)
        run.log_input(WINE, "training")
    found = {each.tags.get("mlflow.data.context", ""): each.dataset for each in stored(run).inputs}
    assert found == {"training": WINE, "": WINE}
    assert len(stored(run).inputs) == 2


def test_files_and_folders_keep_their_names(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "Größe.txt").write_text("b")
    with client.start_run() as run:
        run.log_artifact(folder / "a.txt")
        run.log_artifact(str(folder / "a.txt"), "plots/new")
        run.log_artifact(folder)
        run.log_artifacts(folder, "all")
    assert files(run) == {
        "a.txt": b"a",
        "plots/new/a.txt": b"a",
        "out/a.txt": b"a",
        "out/deep/Größe.txt": b"b",
        "all/a.txt": b"a",
        "all/deep/Größe.txt": b"b",
    }


def test_texts_and_values_become_files(client: Client) -> None:
    value = {"b": [1, None], "a": "Größe"}
    with client.start_run() as run:
        run.log_text("Größe\n", "notes/a.txt")
        for name in ("v.json", "v.yaml", "v.yml"):
            run.log_dict(value, name)
    found = files(run)
    assert found["notes/a.txt"].decode() == "Größe\n"
    assert json.loads(found["v.json"]) == value
    assert yaml.safe_load(found["v.yaml"]) == yaml.safe_load(found["v.yml"]) == value


@pytest.mark.parametrize("target", ["file", "folder", "nowhere"])
def test_a_link_in_a_folder_is_refused(client: Client, tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("secret")
    folder = tmp_path / "logged"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / target)
    with client.start_run() as run, pytest.raises(InvalidInput, match="holds the link 'link'; replace it by a copy"):
        run.log_artifacts(folder)
    assert files(run) == {}


def test_what_cannot_be_read_is_refused_in_one_line(client: Client, tmp_path: Path) -> None:
    with client.start_run() as run:
        with pytest.raises(InvalidInput, match="file '.*nothing' cannot be read"):
            run.log_artifact(tmp_path / "nothing")
        with pytest.raises(InvalidInput, match="folder '.*nothing' does not exist"):
            run.log_artifacts(tmp_path / "nothing")
        for path in ("../up.txt", "/abs.txt", "a//b", ""):
            with pytest.raises(InvalidInput, match="artifact path"):
                run.log_text("x", path)
