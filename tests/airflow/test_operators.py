"""What operators are before they run: arguments, templates, and the form in which Airflow keeps them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def kept(drive):
    return drive("serialise")


def test_every_operator_survives_serialisation(kept):
    types = {task["type"] for task in kept["every"].values()}
    assert types == {
        "KedroOperator",
        "RegisterOperator",
        "PromoteOperator",
        "RollbackOperator",
        "DeployOperator",
        "UndeployOperator",
    }


def test_arguments_come_back_as_they_were_given(kept):
    assert kept["every"]["train"]["fields"] == {
        "project_path": "/projects/wine",
        "pipeline": "training",
        "env": "prod",
        "runtime_params": {"model": {"depth": 3}, "seed": "{{ params.seed }}"},
        "tags": ["daily"],
        "nodes": None,
        "from_nodes": None,
        "to_nodes": ["evaluate"],
        "from_inputs": None,
        "to_outputs": None,
        "namespaces": None,
        "python": "/venvs/wine/bin/python",
    }
    assert kept["every"]["deploy"]["fields"]["options"] == {"port": "0"}


def test_what_one_task_returns_makes_the_next_wait_for_it(kept):
    assert kept["every"]["register"]["upstream"] == ["train"]
    assert kept["every"]["promote"]["upstream"] == ["register"]


def test_params_stay_those_of_airflow(kept):
    assert kept["params"] == {"seed": 7}


def test_reading_a_dag_imports_nothing_heavy(kept):
    assert set(kept["imported"]) <= {"ratoon.errors", "ratoon.version"}


def test_the_command_line_of_kedro(kept):
    assert kept["command"] == [
        "/venvs/wine/bin/python",
        "-m",
        "kedro",
        "run",
        "--pipelines=training",
        "--env=prod",
        "--tags=daily",
        "--to-nodes=evaluate",
        "--params=model.depth=3,seed={{ params.seed }}",
    ]


def test_the_example_is_the_whole_way(kept):
    assert {name: task["upstream"] for name, task in kept["example"].items()} == {
        "train": [],
        "register": ["train"],
        "promote": ["register"],
        "deploy": ["promote"],
    }
