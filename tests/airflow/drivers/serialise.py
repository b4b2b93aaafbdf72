"""Every operator through the form in which Airflow keeps DAGs, and back."""

from __future__ import annotations

import json
import sys

from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from ratoon_airflow.example_dags.ratoon_wine import train as first_task_of_the_example
from ratoon_airflow.operators.kedro import KedroOperator
from ratoon_airflow.operators.registry import PromoteOperator, RegisterOperator, RollbackOperator
from ratoon_airflow.operators.serving import DeployOperator, UndeployOperator

imported = sorted(name for name in sys.modules if name.startswith(("ratoon.", "kedro")))

with DAG("every_operator", schedule=None) as dag:
    train = KedroOperator(
        task_id="train",
        project_path="/projects/wine",
        pipeline="training",
        env="prod",
        runtime_params={"model": {"depth": 3}, "seed": "{{ params.seed }}"},
        tags=["daily"],
        to_nodes=["evaluate"],
        python="/venvs/wine/bin/python",
        params={"seed": 7},
    )
    register = RegisterOperator(task_id="register", run_id=train.output["run_id"], model_name="wine")
    promote = PromoteOperator(
        task_id="promote", model_name="wine", version=register.output["version"], metric="accuracy", minimum=0.9
    )
    deploy = DeployOperator(task_id="deploy", model_uri="models:/wine@champion", options={"port": "0"})
    undeploy = UndeployOperator(task_id="undeploy", deployment="wine")
    rollback = RollbackOperator(task_id="rollback", model_name="wine", reason="{{ run_id }}")
    promote >> deploy >> undeploy >> rollback


def there_and_back(dag: DAG) -> dict[str, object]:
    """The template fields of each task after the way through JSON."""
    kept = DagSerialization.deserialize_dag(json.loads(json.dumps(DagSerialization.serialize_dag(dag))))
    return {
        task_id: {
            "type": task.task_type,
            "fields": {field: getattr(task, field) for field in sorted(task.template_fields)},
            "upstream": sorted(task.upstream_task_ids),
        }
        for task_id, task in kept.task_dict.items()
    }


answer = {"every": there_and_back(dag), "example": there_and_back(first_task_of_the_example.dag)}
answer["command"] = train.command()
answer["imported"] = imported
answer["params"] = dict(train.params)
print(f"ANSWER {json.dumps(answer, default=str)}")
