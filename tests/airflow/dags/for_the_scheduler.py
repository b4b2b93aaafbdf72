"""The example, and tasks that are there to be killed and to clean up."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from ratoon_airflow.example_dags.ratoon_wine import train as first_task_of_the_example
from ratoon_airflow.operators.kedro import KedroOperator
from ratoon_airflow.operators.serving import UndeployOperator

example = first_task_of_the_example.dag

with DAG("endless", schedule=None) as endless:
    KedroOperator(
        task_id="train", project_path=os.environ["RATOON_EXAMPLE_PROJECT"], python=os.environ["ENDLESS_INTERPRETER"]
    )

with DAG("clean_up", schedule=None) as clean_up:
    UndeployOperator(task_id="undeploy", deployment="wine")
