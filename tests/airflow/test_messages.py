"""What a task says when it cannot go on, and whether Airflow may try it again."""

from __future__ import annotations

import pytest

FINAL, AGAIN = "AirflowFailException", "AirflowException"


@pytest.fixture(scope="module")
def said(drive):
    return drive("messages")


@pytest.mark.parametrize(
    "case, kind, message",
    [
        ("no connection", "AirflowNotFoundException", "connection 'nowhere' is not defined"),
        ("unknown run", FINAL, f"run '{'0' * 32}'"),
        ("run without that model", FINAL, "logged no model 'model'"),
        ("unknown version", FINAL, "version 7 of model 'apple' does not exist (the newest is 2)"),
        ("no such choice", FINAL, "on_refusal is 'ignore'; give 'fail' or 'skip'"),
        ("no such metric", FINAL, "'auc'"),
        ("unknown model", FINAL, "model 'wine' is not registered"),
        ("unknown model to roll back", FINAL, "model 'wine' is not registered"),
        ("unknown model to deploy", FINAL, "model 'wine' is not registered"),
        ("unknown target", FINAL, "deploy target 'moon' is not registered; known targets are local"),
        ("unknown deployment", FINAL, "deployment 'wine' does not exist"),
        ("no project", FINAL, "is not on this worker (no pyproject.toml in that folder)"),
        ("no interpreter", FINAL, "interpreter '/no/such/python' cannot be started (No such file or directory)"),
        ("no list", FINAL, "runtime parameter 'model.columns' is '[\"a\", \"b\"]'"),
        ("kedro records nothing", FINAL, "install ratoon[kedro] for"),
    ],
)
def test_what_is_said(said, case, kind, message):
    assert said[case][0] == kind
    assert message in said[case][1]


@pytest.mark.parametrize("text", ["two", "", "-1", "0", "1.0", "None", "²", True])
def test_a_version_must_be_a_number(said, text):
    assert said[f"version {text!r}"] == [
        FINAL,
        f"version {text!r} is not a version number (a positive whole number is); "
        "give what RegisterOperator returned under 'version'",
    ]


def test_a_failed_kedro_run_may_be_tried_again_and_says_what_it_printed(said):
    kind, message = said["kedro fails"]
    assert kind == AGAIN
    first, *lines = message.splitlines()
    assert first.startswith(f"kedro run of '{said['project']}' failed (exit code 7, tracked run ")
    assert lines == ["all is well", "no, it is not"]


def test_a_model_is_registered_once_under_a_name(said):
    assert said["registered"] == ["value", {"name": "apple", "version": 1}]
    assert said["registered again"] == said["registered"]
    assert said["registered elsewhere"] == ["value", {"name": "pear", "version": 1}]
    assert said["another one registered"] == ["value", {"name": "apple", "version": 2}]


def test_a_deployment_that_an_earlier_try_removed_is_no_error(said):
    assert said["deployment gone at a second try"] == ["value", None]


def test_nan_is_none_in_what_the_next_task_gets(said):
    kind, value = said["kedro forgets the end"]
    assert kind == "value"
    assert value["metrics"] == {"auc": None, "loss": None, "accuracy": 0.75}
    assert value["params"] == {"arguments": "-m kedro run --env=prod --params=a.b=1,c=null", "folder": "messages"}
    assert value["status"] == "FINISHED"
    assert value["models"] == {} and value["model_versions"] == []


def test_a_run_whose_process_died_does_not_go_on_for_ever(said):
    kind, message = said["kedro dies"]
    assert kind == AGAIN
    assert run_of("kedro_dies", said) == {
        "status": "FAILED",
        "ended": True,
        "tags": {
            "airflow.dag_id": "dag",
            "airflow.run_id": "run",
            "airflow.task_id": "kedro_dies",
            "airflow.try_number": "1",
        },
    }


def test_killing_the_task_stops_kedro_and_ends_its_run(said):
    kind, message = said["killed"]
    assert kind == AGAIN
    assert "was stopped with its task (exit code -15, tracked run" in message
    assert run_of("killed", said)["status"] == "KILLED"


def test_a_timeout_of_the_task_does_the_same(said):
    assert said["timed out"] == ["AirflowTaskTimeout", "too slow"]
    assert run_of("timed_out", said)["status"] == "KILLED"


def run_of(task_id, said):
    (run,) = (run for run in said["runs"].values() if run["tags"].get("airflow.task_id") == task_id)
    return run
