"""
### From data to a model in service

One run of this DAG trains a classifier of wines with Kedro, registers it, lets it take the place of the champion if it
is no worse, and puts the champion into service.

| task | what it does | what it hands on |
|---|---|---|
| `train` | runs the Kedro project as it is, in a process of its own; the run is tracked | run id, metrics, models |
| `register` | makes the run's model a version of `wine` | name and version |
| `promote` | compares its accuracy with the champion's; refuses below 0.8 or more than 0.01 worse | verdicts |
| `deploy` | serves `models:/wine@champion` on this worker | the address that answers `/invocations` |

A refusal fails `promote` with the reasons, without a retry; nothing is moved and the model in service stays.

**To run it**: make the project with `python examples/kedro_wine/create.py /opt/projects/wine`, give its folder as the
parameter `project_path` when you trigger the DAG (default: the environment's `RATOON_EXAMPLE_PROJECT`), and define the
connection `ratoon_default`:

    airflow connections add ratoon_default --conn-type ratoon \
        --conn-extra '{"tracking_uri": "sqlite:////opt/ratoon/ratoon.db"}'
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG, Param

from ratoon_airflow.operators.kedro import KedroOperator
from ratoon_airflow.operators.registry import PromoteOperator, RegisterOperator
from ratoon_airflow.operators.serving import DeployOperator

with DAG(
    dag_id="ratoon_wine",
    schedule=None,
    doc_md=__doc__,
    tags=["example", "ratoon"],
    params={
        "project_path": Param(
            os.environ.get("RATOON_EXAMPLE_PROJECT", "/opt/projects/wine"),
            type="string",
            title="Kedro project",
            description="The folder of the wine project, as the worker sees it.",
        ),
    },
):
    train = KedroOperator(
        task_id="train", project_path="{{ params.project_path }}", retries=1, retry_delay=timedelta(seconds=30)
    )

    register = RegisterOperator(
        task_id="register", run_id=train.output["run_id"], model_name="wine", artifact="classifier"
    )

    promote = PromoteOperator(
        task_id="promote",
        model_name="wine",
        version=register.output["version"],
        metric="evaluation.accuracy",
        minimum=0.8,
        tolerance=0.01,
        reason="{{ dag.dag_id }}, {{ run_id }}",
    )

    deploy = DeployOperator(task_id="deploy", model_uri="models:/wine@champion", deployment="wine")

    train >> register >> promote >> deploy
