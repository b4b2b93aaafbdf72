"""What tracking costs beside the least it could cost: raw sqlite3 with the same durability, in the same run.

Run it with ``make bench``. CPU time of all threads, median of interleaved rounds. The limit of a question is written in
its function; it is no competitor but the floor that the database and the interpreter set.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
import uuid
from pathlib import Path

from interleaved import Row, cpu_of, cpu_of_python, print_rows, take_turns

from ratoon.entities import Metric, RunBatch
from ratoon.tracking.client import Client

ROUNDS = 7


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = Client(tracking_uri=f"sqlite:///{folder}/ratoon.db")
        raw = raw_database(Path(folder, "raw.db"))
        print_rows([imports(), short_runs(client, raw), single_metrics(client), batches(client, raw)])
        client.close()


def imports() -> Row:
    """Importing ratoon; the limit is what any core needs first."""
    limit = "import sqlite3, json, threading, uuid"
    contestants = {"ours": lambda: cpu_of_python("import ratoon"), "limit": lambda: cpu_of_python(limit)}
    return Row("import, CPU of the process", **take_turns(contestants, ROUNDS))


def short_runs(client: Client, raw: sqlite3.Connection) -> Row:
    """A run with ten params; the limit inserts the same rows in two durable commits."""
    count = 50

    def ours() -> None:
        for _ in range(count):
            with client.start_run() as run:
                run.log_params({f"p{number}": number for number in range(10)})

    def limit() -> None:
        for _ in range(count):
            run_id = uuid.uuid4().hex
            with raw:
                raw.execute("INSERT INTO runs VALUES (?, ?, ?)", (run_id, "RUNNING", time.time()))
            with raw:
                raw.executemany("INSERT INTO params VALUES (?, ?, ?)", [(run_id, f"p{n}", str(n)) for n in range(10)])
                raw.execute("UPDATE runs SET status = 'FINISHED' WHERE id = ?", (run_id,))

    contestants = {"ours": lambda: cpu_of(ours, count), "limit": lambda: cpu_of(limit, count)}
    return Row("start + 10 params + end", **take_turns(contestants, ROUNDS))


def single_metrics(client: Client) -> Row:
    """``log_metric`` with everything that it causes; the limit appends the same values to a list."""
    count = 20_000

    def ours() -> None:
        with client.start_run() as run:
            for step in range(count):
                run.log_metric("loss", 1.0 / (step + 1), step)

    def limit() -> None:
        points: list[Metric] = []
        for step in range(count):
            points.append(Metric("loss", 1.0 / (step + 1), time.time_ns() // 1_000_000, step))

    contestants = {"ours": lambda: cpu_of(ours, count), "limit": lambda: cpu_of(limit, count)}
    return Row("log_metric, until it is durable", **take_turns(contestants, ROUNDS))


def batches(client: Client, raw: sqlite3.Connection) -> Row:
    """A batch of a thousand points in one transaction; the limit inserts the same rows in one."""
    run_id = client.start_run().run_id
    base = 0

    def points() -> tuple[Metric, ...]:
        nonlocal base
        base += 1000
        return tuple(Metric("loss", 0.5, 1_700_000_000_000, base + step) for step in range(1000))

    def ours() -> float:
        batch = RunBatch(run_id=run_id, metrics=points())
        return cpu_of(lambda: client.tracking.log_batch(batch), 1)

    def limit() -> float:
        rows = [(run_id, point.key, point.value, point.timestamp, point.step) for point in points()]

        def insert() -> None:
            with raw:
                raw.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?)", rows)

        return cpu_of(insert, 1)

    return Row("log_batch of 1,000 points", **take_turns({"ours": ours, "limit": limit}, ROUNDS))


def raw_database(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE runs (id TEXT PRIMARY KEY, status TEXT, start REAL);"
        "CREATE TABLE params (run TEXT, key TEXT, value TEXT, PRIMARY KEY (run, key)) WITHOUT ROWID;"
        "CREATE TABLE points (run TEXT, key TEXT, value REAL, time INTEGER, step INTEGER,"
        " PRIMARY KEY (run, key, step, time)) WITHOUT ROWID;"
    )
    return connection


if __name__ == "__main__":
    main()
