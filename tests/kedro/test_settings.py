"""What the project and the environment say about where and how a run is kept."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING

import pytest

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


def test_the_runs_name_is_made_from_its_template(project: WineProject) -> None:
    project.write("conf/base/ratoon.yml", 'run_name: "{pipeline}/{env}/{params.seed}/{git}"\n')
    assert project.kedro(*LIGHT, "--params", "seed=9").returncode == 0
    assert project.only_run().run_name == "light/local/9/no-git"


@pytest.mark.parametrize("strict", [False, True])
def test_a_template_with_a_mistake_costs_the_name_only(project: WineProject, strict: bool) -> None:
    project.write("conf/base/ratoon.yml", f'strict: {str(strict).lower()}\nrun_name: "{{pipelin}}"\n')
    done = project.kedro(*LIGHT)
    output = done.stdout + done.stderr
    assert done.returncode == int(strict)
    assert "setting 'run_name' has the unknown field 'pipelin'; did you mean 'pipeline'?" in output
    if not strict:
        assert len(project.complaints(output)) == 1
        assert project.only_run().run_name == "light"


def test_pipelines_can_be_left_out(project: WineProject) -> None:
    project.write("conf/base/ratoon.yml", "pipelines: {exclude: [li*]}\n")
    assert project.kedro(*LIGHT).returncode == 0
    assert not (project.path / ".ratoon").exists()


def test_the_machine_is_watched_if_somebody_asks(project: WineProject) -> None:
    project.write("conf/base/ratoon.yml", "system_metrics: 0.2\n")
    process = project.start(*LIGHT, "--params", "action=wait")
    deadline = time.monotonic() + 60
    while not (project.path / "waiting").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    process.terminate()
    process.communicate(timeout=30)
    metrics = project.only_run().metrics
    assert metrics["system/cpu_utilization_percentage"].step >= 1


def test_the_effective_configuration_is_kept_without_secrets(project: WineProject) -> None:
    project.write(
        "conf/base/catalog_more.yml",
        """
table:
  type: wine.datasets.JSONReport
  filepath: s3://bucket/table.json
  credentials: dev_s3
  fs_args: {secret_key: hunter2, endpoint: "https://anna:hunter2@s3.local"}
"{name}_report":
  type: wine.datasets.JSONReport
  filepath: data/{name}.json
  metadata: {ratoon: {log: false}}
  credentials: {token: hunter2}
""",
    )
    project.write("conf/local/credentials.yml", "dev_s3: {key: hunter2}\n")
    given = "seed=8,db.password=hunter2,db.url='https://anna:hunter2@db/wines'"
    done = project.kedro(*LIGHT, "--params", given)
    assert done.returncode == 0, done.stdout + done.stderr
    text = project.read_artifact(project.only_run(), "kedro/configuration.json")
    assert b"hunter2" not in text
    document = json.loads(text)
    assert document["parameters"]["seed"] == 8
    assert document["run_params"]["pipeline_names"] == ["light"]
    assert document["run_params"]["runner"] == "SequentialRunner"
    assert document["run_params"]["runtime_params"]["db"]["password"] == "[redacted]"
    assert document["catalog"]["table"]["credentials"] == "dev_s3"
    assert document["catalog"]["table"]["fs_args"]["endpoint"] == "https://[redacted]@s3.local"
    assert document["catalog"]["{name}_report"]["metadata"] == {"ratoon": {"log": False}}
    assert document["ratoon"]["experiment"] == "wine"
    assert document["ratoon"]["datasets"]["digest"] == "cheap"
