"""What becomes of models after a run: registered, given an alias, promoted through gates or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ratoon.entities import MoveKind, RunStatus

if TYPE_CHECKING:
    from conftest import WineProject

TRAINING = ("run", "--pipelines", "training")
POLICY = """
format: 1
models:
  wine-classifier:
    champion:
      metrics:
        - {{metric: evaluation.accuracy, minimum: {minimum}}}
"""
CONFIG = "register:\n  classifier: {name: wine-classifier, policy: gates/promotion.yml}\n"

pytestmark = pytest.mark.slow


def demand(project: WineProject, minimum: float) -> None:
    (project.path / "gates").mkdir(exist_ok=True)
    project.write("gates/promotion.yml", POLICY.format(minimum=minimum))
    project.write("conf/base/ratoon.yml", CONFIG)


def test_a_model_that_the_gates_let_pass_is_promoted(project: WineProject) -> None:
    demand(project, 0.5)
    done = project.kedro(*TRAINING)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert project.complaints(output) == []
    client, run = project.client(), project.only_run()
    version = client.registry.version_by_alias("wine-classifier", "champion")
    assert (version.version, version.run_id) == (1, run.run_id)
    (move,) = client.registry.alias_history("wine-classifier", "champion")
    assert (move.kind, move.reason) == (MoveKind.PROMOTE, f"kedro run {run.run_id}")
    verdicts = [(verdict.gate, verdict.passed) for verdict in move.verdicts]
    assert verdicts == [("evaluation.accuracy within limits", True)]
    assert "wine-classifier version 1 is 'champion' now" in output


def test_a_model_that_a_gate_refuses_is_registered_only_and_the_run_is_finished(project: WineProject) -> None:
    demand(project, 1.01)
    done = project.kedro(*TRAINING)
    output = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, output
    client, run = project.client(), project.only_run()
    assert run.status is RunStatus.FINISHED
    assert client.registry.get_registered_model("wine-classifier").aliases == {}
    (move,) = client.registry.alias_history("wine-classifier", "champion")
    assert move.kind is MoveKind.REFUSED
    refusal = "wine-classifier version 1 does not become 'champion': refused by evaluation.accuracy within limits ("
    assert f"WARNING {refusal}" in output
    assert f"WARNING ratoon_kedro: {refusal}" in project.read_artifact(run, "kedro/run.log").decode()


def test_a_policy_that_cannot_be_read_costs_the_alias_only(project: WineProject) -> None:
    project.write("conf/base/ratoon.yml", CONFIG)
    done = project.kedro(*TRAINING)
    assert done.returncode == 0
    (complaint,) = project.complaints(done.stdout + done.stderr)
    assert "ratoon could not give wine-classifier version 1 its alias (InvalidSetting: policy file '" in complaint
    assert project.only_run().status is RunStatus.FINISHED
    assert project.client().registry.get_registered_model("wine-classifier").aliases == {}


def test_what_is_registered_is_in_the_effective_configuration(project: WineProject) -> None:
    demand(project, 0.5)
    assert project.kedro(*TRAINING).returncode == 0
    document = json.loads(project.read_artifact(project.only_run(), "kedro/configuration.json"))
    wanted = {"name": "wine-classifier", "alias": None, "policy": "gates/promotion.yml"}
    assert document["ratoon"]["register"] == {"classifier": wanted}
