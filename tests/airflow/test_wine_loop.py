"""The whole way, on a real metadata database, with a real Kedro project, a real registry and a real server."""

from __future__ import annotations

import json
import shutil

import pytest


@pytest.fixture(scope="module")
def loop(drive, wine_project, airflow_home, tmp_path_factory):
    project = tmp_path_factory.mktemp("loop") / "wine"
    shutil.copytree(wine_project, project)  # its data comes and goes
    uri = f"sqlite:///{airflow_home}/loop/ratoon.db"
    connection = {"conn_type": "ratoon", "extra": {"tracking_uri": uri}}
    environment = {
        "RATOON_EXAMPLE_PROJECT": str(project),
        "AIRFLOW_CONN_RATOON_DEFAULT": json.dumps(connection),
    }
    return drive("wine_loop", environment=environment)


def values(run):
    return {name: task["value"] for name, task in run["tasks"].items()}


def test_the_example_goes_through(loop):
    assert loop["first"]["state"] == "success"
    assert {name: task["state"] for name, task in loop["first"]["tasks"].items()} == {
        "train": "success",
        "register": "success",
        "promote": "success",
        "deploy": "success",
    }


def test_training_returns_what_the_run_recorded(loop):
    trained = values(loop["first"])["train"]
    assert trained["status"] == "FINISHED"
    assert 0.8 < trained["metrics"]["evaluation.accuracy"] <= 1
    assert list(trained["models"]) == ["classifier"]
    assert trained["model_versions"] == []


def test_the_run_tells_which_task_made_it(loop):
    run = loop["runs"][values(loop["first"])["train"]["run_id"]]
    assert {key: value for key, value in run["tags"].items() if key.startswith("airflow.")} == {
        "airflow.dag_id": "ratoon_wine",
        "airflow.run_id": loop["first"]["run_id"],
        "airflow.task_id": "train",
        "airflow.try_number": "1",
    }


def test_the_first_model_becomes_champion(loop):
    assert values(loop["first"])["register"] == {"name": "wine", "version": 1}
    promoted = values(loop["first"])["promote"]
    assert (promoted["alias"], promoted["version"], promoted["previous"]) == ("champion", 1, None)
    assert promoted["verdicts"] and all(verdict["passed"] for verdict in promoted["verdicts"])
    registry = loop["registry after the first"]
    assert registry["aliases"] == {"champion": 1}
    assert registry["moves"] == [[None, 1, "promote", f"ratoon_wine, {loop['first']['run_id']}"]]


def test_the_deployment_answers_over_http(loop):
    deployed = values(loop["first"])["deploy"]
    assert deployed["healthy"] is True
    assert (deployed["name"], deployed["target"], deployed["model_uri"]) == ("wine", "local", "models:/wine@champion")
    assert (deployed["model_name"], deployed["model_version"]) == ("wine", 1)
    assert loop["prediction"]["status"] == 200
    assert loop["prediction"]["body"]["predictions"] == loop["prediction"]["truth"]


def test_a_retry_goes_on_with_the_run_of_the_first_try(loop):
    """The data came late: the first try failed for want of it."""
    trained = values(loop["second"])["train"]
    assert f"failed (exit code 1, tracked run {trained['run_id']}); its last lines:" in loop["said"]["the first try"]
    assert "wines" in loop["said"]["the first try"]
    assert sorted(loop["runs after the first try"]) == ["FAILED", "FINISHED"]
    assert (loop["second"]["tasks"]["train"]["tries"], trained["status"]) == (2, "FINISHED")
    assert {run["status"] for run in loop["runs"].values()} == {"FINISHED"} and len(loop["runs"]) == 2
    assert loop["runs"][trained["run_id"]]["tags"]["airflow.try_number"] == "2"


def test_a_worse_model_is_refused_with_the_reason_and_without_a_retry(loop):
    refused = loop["second"]["tasks"]["refused"]
    assert (refused["state"], refused["tries"], refused["value"]) == ("failed", 1, None)
    assert "version 2 of model 'wine' may not take 'champion'" in loop["said"]["refused"]
    assert "accuracy" in loop["said"]["refused"]


def test_a_refusal_may_skip_instead(loop):
    assert loop["second"]["tasks"]["skipped"]["state"] == "skipped"


def test_a_refusal_moves_nothing(loop):
    """It is kept for its verdicts; the first move after the champion's own is the one of the lenient gate."""
    assert [move[:3] for move in loop["registry after the second"]["moves"]] == [
        [None, 1, "promote"],
        [1, 2, "refused"],
        [1, 2, "refused"],
        [1, 2, "promote"],
        [2, 1, "rollback"],
    ]


def test_there_is_no_way_back_from_the_first_champion(loop):
    assert loop["second"]["tasks"]["no_way_back"]["state"] == "failed"
    assert "has no earlier holder" in loop["said"]["no_way_back"]


def test_promoting_the_holder_again_moves_nothing_and_returns_the_same(loop):
    second = values(loop["second"])
    assert second["lenient"] == second["again"]
    assert (second["again"]["version"], second["again"]["previous"]) == (2, 1)


def test_going_back_restores_the_champion(loop):
    back = values(loop["second"])["back"]
    assert (back["version"], back["previous"]) == (1, 2)
    assert back["reason"].startswith("it was worse [airflow: a_worse_model / ")
    assert loop["registry after the second"]["aliases"] == {"champion": 1}


def test_what_is_undeployed_answers_no_more(loop):
    assert values(loop["second"])["undeploy"]["name"] == "wine"
    assert loop["reachable"] is False
