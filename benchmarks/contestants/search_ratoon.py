"""ratoon's answers to a search: the public client on a SQLite file, whose tables it made itself."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing

from asked import Figures, answer, cpu
from many_runs import FILTER, ORDER, PAGE, START, metrics, params, run_ids, tags

from ratoon.entities import Query, Run
from ratoon.tracking.client import Client

folder, runs = sys.argv[1], int(sys.argv[2])
client = Client(tracking_uri=f"sqlite:///{folder}/ratoon.db")
experiment_id = client.experiment("many").experiment_id


def populate() -> Figures:
    ids = run_ids(runs)
    with closing(sqlite3.connect(f"{folder}/ratoon.db")) as database, database:
        database.executemany(
            "INSERT INTO runs (run_pk, run_id, run_name, experiment_id, user_id, status, start_time, end_time,"
            " artifact_uri, lifecycle_stage) VALUES (?, ?, ?, ?, 'ada', 'FINISHED', ?, ?, ?, 'active')",
            (
                (run, ids[run], f"run-{run}", experiment_id, START + run, START + run + 1, f"mlflow-artifacts:/{run}")
                for run in range(runs)
            ),
        )
        database.executemany(
            "INSERT INTO metrics (run_pk, experiment_id, key, value, is_nan, timestamp, step, minimum, maximum, blocks)"
            " VALUES (?, ?, ?, ?, 0, ?, 0, ?, ?, 0)",
            ((run, experiment_id, key, value, START, value, value) for run, key, value in metrics(runs)),
        )
        for table, pairs in (("params", params(runs)), ("tags", tags(runs))):
            database.executemany(
                f"INSERT INTO {table} (run_pk, experiment_id, key, value) VALUES (?, ?, ?, ?)",
                ((run, experiment_id, key, value) for run, key, value in pairs),
            )
    return {}


def search() -> Figures:
    query = Query(filter=FILTER, order_by=(ORDER,), limit=PAGE)
    found: list[Run] = []

    def work() -> None:
        found[:] = client.tracking.search_runs([experiment_id], query).items

    return cpu(work, 1) | {"found": sum(run.metrics["m0"].value for run in found)}


answer({"populate": populate, "search": search})
