"""MLflow's answers to a search: its client on a SQLite file, whose tables it made itself."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing

import mlflow
from asked import Figures, answer, cpu
from many_runs import FILTER, ORDER, PAGE, START, metrics, params, run_ids, tags

folder, runs = sys.argv[1], int(sys.argv[2])
mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
client = mlflow.MlflowClient()
experiment_id = mlflow.create_experiment("many", artifact_location=f"{folder}/mlflow")


def populate() -> Figures:
    ids = run_ids(runs)
    with closing(sqlite3.connect(f"{folder}/mlflow.db")) as database, database:
        database.executemany(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,"
            " end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
            " VALUES (?, ?, 'LOCAL', 'train.py', '', 'ada', 'FINISHED', ?, ?, '', 'active', ?, ?)",
            (
                (ids[run], f"run-{run}", START + run, START + run + 1, f"{folder}/mlflow/{ids[run]}", experiment_id)
                for run in range(runs)
            ),
        )
        database.executemany(
            "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)",
            ((ids[run], key, value, START) for run, key, value in metrics(runs)),
        )
        for table, pairs in (("params", params(runs)), ("tags", tags(runs))):
            database.executemany(
                f"INSERT INTO {table} (run_uuid, key, value) VALUES (?, ?, ?)",
                ((ids[run], key, value) for run, key, value in pairs),
            )
    return {}


def search() -> Figures:
    found = []

    def work() -> None:
        found[:] = client.search_runs([experiment_id], FILTER, max_results=PAGE, order_by=[ORDER])

    return cpu(work, 1) | {"found": sum(run.data.metrics["m0"] for run in found)}


answer({"populate": populate, "search": search})
