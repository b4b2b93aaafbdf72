"""The example on a real metadata database, then a worse model that is refused, and the end of the service.

The environment names the wine project and defines the connection.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.sdk import DAG, TriggerRule
from airflow.utils.db import initdb

from ratoon_airflow.example_dags.ratoon_wine import train as first_task_of_the_example
from ratoon_airflow.hooks.ratoon import RatoonHook
from ratoon_airflow.operators.kedro import KedroOperator
from ratoon_airflow.operators.registry import PromoteOperator, RegisterOperator, RollbackOperator
from ratoon_airflow.operators.serving import UndeployOperator

PROJECT = Path(os.environ["RATOON_EXAMPLE_PROJECT"])
WINES = PROJECT / "data/01_raw/wines.csv"
LATE = WINES.with_suffix(".late")

WORSE = {"model": {"n_estimators": 1, "max_depth": 1}}

said: dict[str, str] = {}
answer: dict[str, Any] = {"said": said}


def hear(context: dict[str, Any]) -> None:
    said[context["ti"].task_id] = str(context["exception"])


def the_data_arrives(context: dict[str, Any]) -> None:
    said["the first try"] = str(context["exception"])
    with RatoonHook().client() as client:
        answer["runs after the first try"] = [run.status for run in client.tracking.search_runs().items]
    LATE.rename(WINES)


with DAG("a_worse_model", schedule=None, default_args={"on_failure_callback": hear}) as second:
    train = KedroOperator(
        task_id="train",
        project_path=str(PROJECT),
        runtime_params=WORSE,
        retries=1,
        retry_delay=timedelta(0),
        on_retry_callback=the_data_arrives,
    )
    register = RegisterOperator(
        task_id="register", run_id=train.output["run_id"], model_name="wine", artifact="classifier"
    )
    gate: dict[str, Any] = {"model_name": "wine", "version": "{{ ti.xcom_pull('register')['version'] }}"}
    refused = PromoteOperator(task_id="refused", metric="evaluation.accuracy", retries=3, **gate)
    skipped = PromoteOperator(task_id="skipped", metric="evaluation.accuracy", on_refusal="skip", **gate)
    no_way_back = RollbackOperator(task_id="no_way_back", model_name="wine", trigger_rule=TriggerRule.ALL_DONE)
    lenient = PromoteOperator(
        task_id="lenient", metric="evaluation.accuracy", tolerance=1.0, trigger_rule=TriggerRule.ALL_DONE, **gate
    )
    again = PromoteOperator(task_id="again", metric="evaluation.accuracy", **gate)
    back = RollbackOperator(task_id="back", model_name="wine", reason="it was worse")
    undeploy = UndeployOperator(task_id="undeploy", deployment="wine", trigger_rule=TriggerRule.ALL_DONE)
    register >> [refused, skipped] >> no_way_back >> lenient >> again >> back >> undeploy


def run(dag: DAG) -> dict[str, Any]:
    """One run of a DAG: the state of each task, how often it was tried and what it returned."""
    bag = DagBag(dag_folder=os.devnull, bundle_name="dags-folder")
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    finished = dag.test()
    tasks = {
        ti.task_id: {"state": ti.state, "tries": ti.try_number, "value": ti.xcom_pull(task_ids=ti.task_id)}
        for ti in finished.get_task_instances()
    }
    return {"state": finished.state, "tasks": tasks, "run_id": finished.run_id}


def registry() -> dict[str, Any]:
    with RatoonHook().client() as client:
        return {
            "aliases": client.registry.get_registered_model("wine").aliases,
            "moves": [
                [move.from_version, move.to_version, move.kind, move.reason]
                for move in client.registry.alias_history("wine", "champion")
            ],
        }


def ask(endpoint: str) -> dict[str, Any]:
    """The growers of the first three wines of the project's table, as the deployed model sees them."""
    lines = WINES.read_text().splitlines()[:4]
    columns, *rows = (line.split(",") for line in lines)
    features = [[float(value) for value in row[:-1]] for row in rows]
    body = {"dataframe_split": {"columns": columns[:-1], "data": features}}
    response = httpx.post(f"{endpoint}/invocations", json=body, timeout=20, trust_env=False)
    return {"status": response.status_code, "body": response.json(), "truth": [int(row[-1]) for row in rows]}


def reachable(endpoint: str) -> bool:
    try:
        httpx.get(f"{endpoint}/ping", timeout=5, trust_env=False)
    except httpx.ConnectError:
        return False
    return True


initdb()
DagBundlesManager().sync_bundles_to_db()
answer["first"] = run(first_task_of_the_example.dag)
endpoint = answer["first"]["tasks"]["deploy"]["value"]["endpoint"]
answer["prediction"] = ask(endpoint)
answer["registry after the first"] = registry()
WINES.rename(LATE)
answer["second"] = run(second)
answer["registry after the second"] = registry()
answer["reachable"] = reachable(endpoint)
with RatoonHook().client() as client:
    answer["runs"] = {
        run.run_id: {"status": run.status, "tags": run.tags, "models": [each.model_id for each in run.model_outputs]}
        for run in client.tracking.search_runs().items
    }
print(f"ANSWER {json.dumps(answer, default=str)}")
