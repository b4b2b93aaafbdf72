"""MLflow's answers: its fluent functions and its client on a SQLite file or a server, the rest as it is by default."""

from __future__ import annotations

import sys

import mlflow
from asked import Figures, answer, cpu, each_call
from mlflow.entities import Metric

# Reading a million points takes half a minute: so many are read, and the figure is multiplied.
POINTS, TIMES = 50_000, 20

mlflow.set_tracking_uri(sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{sys.argv[1]}/mlflow.db")
client = mlflow.MlflowClient()
experiment_id = mlflow.create_experiment("bench", artifact_location=f"{sys.argv[1]}/mlflow")
run_id = client.create_run(experiment_id).info.run_id
steps = {"batch": 0, "million": 0}


def points(key: str, count: int) -> list[Metric]:
    begin = steps[key]
    steps[key] += count
    return [Metric(key, 0.5, 1_700_000_000_000, step) for step in range(begin, steps[key])]


def short_run() -> Figures:
    def work() -> None:
        for _ in range(10):
            with mlflow.start_run(experiment_id=experiment_id):
                mlflow.log_params({f"p{number}": number for number in range(10)})

    return cpu(work, 10)


def log_metric() -> Figures:
    with mlflow.start_run(run_id=run_id):
        return each_call(lambda step: mlflow.log_metric("loss", 1.0 / (step + 1), step=step), 100)


def durable() -> Figures:
    def work() -> None:
        for step in range(100):
            mlflow.log_metric("durable", 1.0 / (step + 1), step=step)

    with mlflow.start_run(run_id=run_id):
        return cpu(work, 100)


def batch() -> Figures:
    batches = [points("batch", 1000) for _ in range(5)]
    return cpu(lambda: [client.log_batch(run_id, metrics=each) for each in batches], 5)


def write_million() -> Figures:
    for _ in range(POINTS // 1000):
        client.log_batch(run_id, metrics=points("million", 1000))
    return {}


def read_million() -> Figures:
    found = cpu(lambda: client.get_metric_history(run_id, "million"), 1)
    return found | {"cpu": found["cpu"] * TIMES}


answer({
    "short_run": short_run, "log_metric": log_metric, "durable": durable, "batch": batch,
    "write_million": write_million, "read_million": read_million,
})  # fmt: skip
