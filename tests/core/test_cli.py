"""The command line: what it prints for people and programs, and how it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.datasets import load_wine
from sklearn.tree import DecisionTreeClassifier

from ratoon.entities import RunStatus
from ratoon.tracking.client import Client

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two trees were trained, logged and registered as versions 1 (worse) and 2 (better)."""
    folder = tmp_path_factory.mktemp("place")
    client = Client(tracking_uri=f"sqlite:///{folder}/.ratoon/ratoon.db")
    wines, growers = load_wine(return_X_y=True, as_frame=True)
    for depth, name in ((1, "stump"), (4, "tree")):
        with client.start_run(experiment="wines", run_name=name) as run:
            tree = DecisionTreeClassifier(max_depth=depth, random_state=0).fit(wines, growers)
            run.log_params({"max_depth": depth, "seed": 0})
            run.log_metric("accuracy", tree.score(wines, growers))
            run.log_metric("undefined", float("nan"))
            run.log_model(tree, input_example=wines.head(), register_as="wine")
    client.close()
    return folder


@pytest.fixture
def cli(place: Path) -> Cli:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("RATOON_")}

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ratoon", *arguments]
        return subprocess.run(command, cwd=place, env=environ | environment, capture_output=True, text=True)

    return run


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_runs_are_listed_newest_first(cli: Cli) -> None:
    names = [row[1] for row in rows(cli("runs", "--experiment", "wines").stdout)[2:]]
    assert names == ["tree", "stump"]


def test_json_is_complete_and_valid_where_a_metric_is_nan(cli: Cli) -> None:
    (run, _) = json.loads(cli("runs", "--json").stdout)
    assert run["params"] == {"max_depth": "4", "seed": "0"}
    assert run["status"] == RunStatus.FINISHED
    assert run["metrics"]["undefined"]["value"] is None


@pytest.mark.parametrize("named", ["latest", "tree"])
def test_a_run_is_found_by_name_or_as_the_latest(cli: Cli, named: str) -> None:
    assert json.loads(cli("runs", "show", named, "--json").stdout)["run_name"] == "tree"


def test_runs_are_filtered_and_ordered(cli: Cli) -> None:
    def names(*options: str) -> list[str]:
        return [run["run_name"] for run in json.loads(cli("runs", "--json", *options).stdout)]

    assert names("--filter", "params.max_depth = '1'") == ["stump"]
    assert names("--filter", "metrics.accuracy > 0", "--order-by", "metrics.accuracy") == ["stump", "tree"]
    assert names("--order-by", "params.seed", "--order-by", "run_name DESC") == ["tree", "stump"]
    assert "no such runs" in cli("runs", "--filter", "metrics.accuracy > 1").stdout


def test_a_run_is_deleted_and_restored(cli: Cli) -> None:
    assert "bring it back with 'ratoon runs restore" in cli("runs", "delete", "stump").stdout
    assert [run["run_name"] for run in json.loads(cli("runs", "--json").stdout)] == ["tree"]
    assert [run["run_name"] for run in json.loads(cli("runs", "--deleted", "--json").stdout)] == ["stump"]
    assert cli("runs", "restore", "stump").returncode == 0
    assert [run["run_name"] for run in json.loads(cli("runs", "--json").stdout)] == ["tree", "stump"]


def test_an_experiment_is_renamed_deleted_and_restored(cli: Cli) -> None:
    def names(*options: str) -> set[str]:
        return {each["name"] for each in json.loads(cli("experiments", "--json", *options).stdout)}

    assert "renamed to 'grapes'" in cli("experiments", "rename", "wines", "grapes").stdout
    try:
        assert "deleted with its runs" in cli("experiments", "delete", "grapes").stdout
        assert ("grapes" in names(), "grapes" in names("--deleted")) == (False, True)
        assert json.loads(cli("runs", "--json").stdout) == []
        assert "restored with its runs" in cli("experiments", "restore", "grapes").stdout
        assert "grapes" in names() and len(json.loads(cli("runs", "--json").stdout)) == 2
    finally:
        assert cli("experiments", "rename", "grapes", "wines").returncode == 0


def test_a_run_is_found_by_the_beginning_of_its_id_and_shown_with_all_it_recorded(cli: Cli) -> None:
    run_id = json.loads(cli("runs", "--json").stdout)[0]["run_id"]
    shown = cli("runs", "show", run_id[:10]).stdout
    for told in (run_id, "max_depth", "accuracy", "models:/m-", "ratoon.host"):
        assert told in shown


def test_compare_shows_what_differs_and_with_all_the_rest(cli: Cli) -> None:
    compared = rows(cli("compare", "stump", "tree").stdout)
    assert ["max_depth", "1", "4"] in compared
    assert not any(row[0] == "seed" for row in compared)
    assert ["seed", "0", "0"] in rows(cli("compare", "stump", "tree", "--all").stdout)


def test_experiments_and_models_are_listed(cli: Cli) -> None:
    assert {each["name"] for each in json.loads(cli("experiments", "--json").stdout)} == {"Default", "wines"}
    (model,) = json.loads(cli("models", "--json").stdout)
    assert (model["name"], model["latest_version"]) == ("wine", 2)


def test_promotion_refusal_and_rollback_leave_their_history(cli: Cli) -> None:
    gate = ("--metric", "accuracy", "--minimum", "0.5")
    assert cli("promote", "wine", "1", *gate).returncode == 0
    dry = cli("promote", "wine", "2", *gate, "--dry-run")
    assert dry.returncode == 0 and "nothing was moved" in dry.stdout
    assert cli("promote", "wine", "2", *gate, "--reason", "grown deeper").returncode == 0
    again = cli("promote", "wine", "2", *gate)
    assert "holds 'champion' already" in again.stdout

    refused = cli("promote", "wine", "1", *gate, "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["passed"] is False
    assert "not worse than the champion's: no" in refused.stderr

    assert "version 1 of model 'wine' is 'champion' again" in cli("rollback", "wine").stdout
    moves = json.loads(cli("models", "show", "wine", "--json").stdout)["moves"]
    told = [(move["kind"], move["from_version"], move["to_version"], move["reason"]) for move in moves]
    assert told == [
        ("promote", None, 1, ""),
        ("promote", 1, 2, "grown deeper"),
        ("refused", 2, 1, ""),
        ("rollback", 2, 1, ""),
    ]
    assert [verdict["passed"] for verdict in moves[2]["verdicts"]] == [True, False]


def test_a_model_is_registered_from_a_run(cli: Cli) -> None:
    done = cli("models", "register", "stump", "--name", "stumps", "--description", "one split", "--json")
    version = json.loads(done.stdout)
    assert (version["name"], version["version"], version["description"]) == ("stumps", 1, "one split")


def test_a_store_named_before_the_command_is_used(cli: Cli, tmp_path: Path) -> None:
    done = cli("--tracking-uri", f"sqlite:///{tmp_path}/other.db", "runs")
    assert "no runs yet; start one with 'kedro run'" in done.stdout


REFUSALS = [
    (["runs", "show", "0" * 32], 1, "does not exist; list the runs with 'ratoon runs'"),
    (["runs", "show", "nobody"], 1, "is none of the latest 1000"),
    (["runs", "--experiment", "nope"], 1, "experiment 'nope' does not exist"),
    (["runs", "--limit", "0"], 2, "page size 0 is not allowed"),
    (["runs", "--filter", "metrics.x >> 1"], 2, "filter is wrong at character 12"),
    (["runs", "--order-by", "colour"], 2, "there is no attribute 'colour'"),
    (["runs", "delete", "nobody"], 1, "is none of the latest 1000"),
    (["runs", "restore", "tree"], 1, "is none of the latest 1000"),
    (["experiments", "delete", "nope"], 1, "experiment 'nope' does not exist"),
    (["experiments", "rename", "wines", "Default"], 1, "experiment 'Default' exists already"),
    (["models", "show", "nope"], 1, "model 'nope' is not registered"),
    (["models", "register", "tree", "--name", "a/b"], 2, "leave out the characters"),
    (["models", "register", "tree", "--name", "w", "--model", "other"], 1, "logged no model 'other'"),
    (["promote", "wine", "99", "--metric", "accuracy"], 1, "the newest is 2"),
    (["promote", "nope", "1"], 1, "model 'nope' is not registered"),
    (["promote", "wine", "1", "--alias", "v2"], 2, "reads as a version"),
    (["promote", "wine", "2", "--alias", "fresh"], 1, "name a metric with --metric"),
    (["promote", "wine", "2", "--minimum", "0.5"], 2, "name the metric they are for"),
    (["promote", "wine", "2", "--alias", "fresh", "--metric", "auc"], 1, "its run has: accuracy, undefined"),
    (["promote", "wine", "2", "--alias", "fresh", "--metric", "undefined"], 1, "is not a number"),
    (["promote", "wine", "2", "--alias", "fresh", "--metric", "accuracy", "--minimum", "nan"], 2, "a finite number"),
    (["rollback", "wine", "--alias", "nobody"], 1, "has no earlier holder"),
    (["serve", "models:/wine@nobody"], 1, "alias 'nobody' of model 'wine' is held by no version"),
    (["serve", "models:/nope/1"], 1, "model 'nope' is not registered"),
    (["serve", "models:/"], 2, "cannot be read; give models:/NAME@ALIAS"),
    (["serve", "models:/wine/2", "--host", "0.0.0.0"], 2, ""),
    (["deploy", "models:/wine/2", "--to", "moon"], 2, "local"),
    (["deploy", "models:/wine/2", "-o", "port"], 2, "is not KEY=VALUE"),
    (["undeploy", "nothing"], 1, "nothing"),
    (["--tracking-uri", "gopher://x", "runs"], 2, "is opened by no plugin"),
    (["--tracking-uri", "sqlite:///:memory:", "runs"], 2, "names no file"),
    (["--artifact-root", "file://host/x", "serve", "models:/wine/2"], 2, "names a host"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), REFUSALS, ids=[" ".join(each[0]) for each in REFUSALS])
def test_a_refusal_is_one_line_with_the_way_out(cli: Cli, arguments: list[str], code: int, said: str) -> None:
    done = cli(*arguments)
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("ratoon: ") and said in line
    assert done.returncode == code


def test_the_first_command_in_a_new_place_prints_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ratoon", "models", "show", "nope"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "ratoon: model 'nope' is not registered; list the models with 'ratoon models'\n"


def test_a_broken_settings_file_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "ratoon.toml").write_text("tracking_url = 'sqlite:///x.db'\n")
    command = [sys.executable, "-m", "ratoon", "runs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"ratoon: setting 'tracking_url' in {tmp_path}/ratoon.toml is unknown; did you mean 'tracking_uri'?"
    ]


def test_a_missing_extra_is_answered_with_the_line_that_installs_it(place: Path) -> None:
    # None in sys.modules is what Python itself uses for "this module cannot be imported".
    code = (
        "import sys; sys.modules['uvicorn'] = None; sys.argv = ['ratoon', 'serve', 'models:/wine/2'];"
        "from ratoon.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["ratoon: serving needs the package 'uvicorn'; pip install 'ratoon[serve]'"]


def test_a_damaged_model_is_refused_by_name(cli: Cli, place: Path) -> None:
    client = Client(tracking_uri=f"sqlite:///{place}/.ratoon/ratoon.db")
    model_id = client.registry.get_version("wine", 1).model_id
    root = f"1/models/{model_id}/artifacts"
    digest = client.artifacts.stat(f"{root}/model.skops").digest
    assert digest is not None
    blob = place / ".ratoon" / "artifacts" / "blobs" / digest[:2] / digest[2:4] / digest
    content = blob.read_bytes()
    try:
        blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        done = cli("serve", "models:/wine/1", "--port", "0")
    finally:
        blob.write_bytes(content)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "model.skops" in line and "is corrupt" in line
