"""The floor of a search: one index that holds all it asks for, and each run as one JSON document."""

from __future__ import annotations

import json
import sqlite3
import sys
from typing import Any

from asked import Figures, answer, cpu
from many_runs import PAGE, START, metrics, params, run_ids, tags

folder, runs = sys.argv[1], int(sys.argv[2])
database = sqlite3.connect(f"{folder}/raw.db")
database.executescript(
    "CREATE TABLE runs (run INTEGER PRIMARY KEY, document TEXT);"
    "CREATE TABLE metrics (run INTEGER, key TEXT, value REAL);"
    "CREATE INDEX by_value ON metrics (key, value, run);"
)
SEARCH = (
    "SELECT document FROM metrics JOIN runs USING (run) WHERE key = 'm0' AND value > 0.5"
    f" ORDER BY value DESC LIMIT {PAGE}"
)


def populate() -> Figures:
    documents: list[dict[str, Any]] = [
        {"run_id": run_id, "start_time": START + run, "metrics": {}, "params": {}, "tags": {}}
        for run, run_id in enumerate(run_ids(runs))
    ]
    for part, given in (("metrics", metrics(runs)), ("params", params(runs)), ("tags", tags(runs))):
        for run, key, value in given:
            documents[run][part][key] = value
    with database:
        database.executemany("INSERT INTO runs VALUES (?, ?)", enumerate(map(json.dumps, documents)))
        database.executemany("INSERT INTO metrics VALUES (?, ?, ?)", metrics(runs))
    return {}


def search() -> Figures:
    found: list[str] = []

    def work() -> None:
        found[:] = [document for (document,) in database.execute(SEARCH)]

    return cpu(work, 1) | {"found": sum(json.loads(document)["metrics"]["m0"] for document in found)}


answer({"populate": populate, "search": search})
