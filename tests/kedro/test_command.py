from __future__ import annotations

import shlex

import pytest
from kedro.framework.cli.project import run as kedro_run
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

from ratoon_kedro.command import pipeline_name, replayable_command, runner_name
from ratoon_kedro.params import Redactor

DEFAULTS = {
    "env": None,
    "tags": (),
    "from_nodes": [],
    "load_versions": {},
    "runtime_params": {},
    "pipeline_names": [],
    "runner": str(SequentialRunner()),
    "only_missing_outputs": False,
}


def test_a_plain_run_is_a_plain_command() -> None:
    assert replayable_command(DEFAULTS, Redactor()) == "kedro run"


def test_every_option_comes_back_through_kedros_own_parser() -> None:
    given = DEFAULTS | {
        "env": "prod",
        "pipeline_names": ["b", "a"],
        "tags": ("slow",),
        "node_names": ("n1", "n2"),
        "from_nodes": ["f"],
        "to_nodes": ["t"],
        "from_inputs": ["i"],
        "to_outputs": ["o"],
        "namespaces": ["ns"],
        "load_versions": {"table": "2026-01-01T00.00.00.000Z"},
        "runtime_params": {"model": {"depth": 3, "loss": "log loss", "on": True}, "note": None},
        "runner": str(ThreadRunner()),
        "only_missing_outputs": True,
    }
    words = shlex.split(replayable_command(given, Redactor()))
    assert words[:2] == ["kedro", "run"]
    parsed = kedro_run.make_context("run", words[2:], resilient_parsing=False).params
    expected = {"env": "prod", "runner": "ThreadRunner", "pipelines": ["a", "b"], "params": given["runtime_params"]}
    expected |= {"load_versions": given["load_versions"], "node_names": ["n1", "n2"], "only_missing_outputs": True}
    assert {key: parsed[key] for key in expected} == expected


def test_secrets_do_not_get_into_the_command() -> None:
    command = replayable_command(DEFAULTS | {"runtime_params": {"db": {"password": "hunter2"}}}, Redactor())
    assert command == "kedro run --params 'db.password=[redacted]'"


def test_other_configuration_is_named() -> None:
    assert replayable_command(DEFAULTS, Redactor(), "/etc/conf") == "kedro run --conf-source /etc/conf"


@pytest.mark.parametrize(
    ("runner", "name"),
    [
        (ThreadRunner(), "ThreadRunner"),
        ("<my.runners.DaskRunner object at 0x7f>", "my.runners.DaskRunner"),
        ("None", "None"),
        (None, "SequentialRunner"),
    ],
)
def test_runners_are_named_without_their_address(runner: object, name: str) -> None:
    assert runner_name({"runner": None if runner is None else str(runner)}) == name


def test_the_parallel_runner_is_named_by_its_class() -> None:
    assert ParallelRunner.__module__.startswith("kedro.runner.")
    assert runner_name({"runner": f"<{ParallelRunner.__module__}.ParallelRunner object at 0x7f>"}) == "ParallelRunner"


def test_pipelines_are_named_by_old_and_new_kedro() -> None:
    assert pipeline_name({"pipeline_names": []}) == "__default__"
    assert pipeline_name({"pipeline_names": ["b", "a"]}) == "a+b"
    assert pipeline_name({"pipeline_name": "training"}) == "training"
    assert pipeline_name({"pipeline_name": None}) == "__default__"
