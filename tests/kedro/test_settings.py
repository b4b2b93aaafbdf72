"""What the project and the environment say about where and how a run is kept."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from ratoon.entities import RunStatus
from ratoon.tracking.models import load_model

if TYPE_CHECKING:
    from conftest import WineProject

LIGHT = ("run", "--pipelines", "light")
CONFIG = """
experiment: cellar
run_name: nightly
tracking_uri: sqlite:///cellar.db
tags:
  team: growers
  year: 2026
redact:
  - ^action$
"""


def test_the_project_says_where_and_how(project: WineProject) -> None:
    project.write("conf/base/ratoon.yml", CONFIG)
    done = project.kedro(*LIGHT)
    assert done.returncode == 0, done.stdout + done.stderr
    client = project.client(tracking_uri="sqlite:///cellar.db")
    (listed,) = client.tracking.search_runs().items
    run = client.tracking.get_run(listed.run_id)
    assert run.run_name == "nightly"
    assert (run.tags["team"], run.tags["year"]) == ("growers", "2026")
    assert run.params == {"seed": "4", "action": "[redacted]"}
    assert client.tracking.get_experiment(run.experiment_id).name == "cellar"
    assert not (project.path / ".ratoon").exists()

    shown = project.kedro("ratoon", "runs")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "nightly" in shown.stdout


def test_the_environment_goes_before_the_project(project: WineProject) -> None:
    project.write("conf/base/ratoon.yml", CONFIG)
    env = {"RATOON_TRACKING_URI": f"sqlite:///{project.path}/other.db", "RATOON_EXPERIMENT": "barrel"}
    assert project.kedro(*LIGHT, env=env).returncode == 0
    client = project.client(tracking_uri=env["RATOON_TRACKING_URI"])
    (run,) = client.tracking.search_runs().items
    assert client.tracking.get_experiment(run.experiment_id).name == "barrel"
    assert not (project.path / "cellar.db").exists()


def test_an_orchestrator_names_the_run_and_a_second_try_goes_on_with_it(project: WineProject) -> None:
    env = {"RATOON_RUN_ID": uuid.uuid4().hex}
    failed = project.kedro(*LIGHT, "--params", "action=fail", env=env)
    assert failed.returncode == 1
    assert project.only_run().run_id == env["RATOON_RUN_ID"]
    assert project.only_run().status is RunStatus.FAILED

    done = project.kedro(*LIGHT, env=env)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    run = project.only_run()
    assert run.status is RunStatus.FINISHED
    assert run.metrics["doubled"].value == 5
    assert run.params["action"] == "fail"
    assert "action had another value before in this run; the first one is kept" in output


def test_models_are_registered_after_a_run_and_aliases_set(project: WineProject) -> None:
    text = "register:\n  classifier: {name: wine-classifier, alias: challenger}\n  test_wines: not-a-model\n"
    project.write("conf/base/ratoon.yml", text)
    done = project.kedro("run", "--pipelines", "training")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert (
        "ratoon could not register the model of dataset 'test_wines'"
        " (LookupError: it holds no model; the run's models are classifier); the pipeline goes on" in output
    )
    client, run = project.client(), project.only_run()
    version = client.registry.version_by_alias("wine-classifier", "challenger")
    assert (version.version, version.run_id) == (1, run.run_id)
    (move,) = client.registry.alias_history("wine-classifier", "challenger")
    assert move.reason == f"kedro run {run.run_id}"
    loaded = load_model("models:/wine-classifier@challenger", client=client)
    assert type(loaded.native).__name__ == "RandomForestClassifier"

    again = project.kedro("run", "--pipelines", "training", "--params", "model.max_depth=1")
    assert again.returncode == 0
    assert client.registry.version_by_alias("wine-classifier", "challenger").version == 2


def test_a_failed_run_registers_nothing(project: WineProject) -> None:
    project.write("conf/base/ratoon.yml", "register: {classifier: wine-classifier}\n")
    done = project.kedro("run", "--params", "action=fail")
    assert done.returncode == 1
    assert project.client().registry.search_registered_models().items == ()
