"""The floor: the least that Python's own sqlite3 does for the same, as durable as ratoon (WAL, synchronous=FULL)."""

from __future__ import annotations

import sqlite3
import sys
import time
import uuid
from array import array

from asked import Figures, answer, cpu, each_call

POINTS, BLOCK = 1_000_000, 8192

database = sqlite3.connect(f"{sys.argv[1]}/raw.db")
database.executescript(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    "CREATE TABLE runs (id TEXT PRIMARY KEY, status TEXT, start REAL);"
    "CREATE TABLE params (run TEXT, key TEXT, value TEXT, PRIMARY KEY (run, key)) WITHOUT ROWID;"
    "CREATE TABLE points (run TEXT, key TEXT, value REAL, time INTEGER, step INTEGER,"
    " PRIMARY KEY (run, key, step, time)) WITHOUT ROWID;"
    "CREATE TABLE blocks (number INTEGER PRIMARY KEY, steps BLOB, times BLOB, numbers BLOB);"
)
written = 0


def rows(count: int) -> list[tuple[str, str, float, int, int]]:
    global written
    written += count
    return [("r", "loss", 0.5, 1_700_000_000_000, step) for step in range(written - count, written)]


def insert(count: int) -> None:
    with database:
        database.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?)", rows(count))


def short_run() -> Figures:
    """Two commits: the run, then its params and its end."""

    def work() -> None:
        for _ in range(50):
            run_id = uuid.uuid4().hex
            with database:
                database.execute("INSERT INTO runs VALUES (?, ?, ?)", (run_id, "RUNNING", time.time()))
            with database:
                params = [(run_id, f"p{number}", str(number)) for number in range(10)]
                database.executemany("INSERT INTO params VALUES (?, ?, ?)", params)
                database.execute("UPDATE runs SET status = 'FINISHED' WHERE id = ?", (run_id,))

    return cpu(work, 50)


def log_metric() -> Figures:
    """Append to a list."""
    kept: list[tuple[str, float, int, int]] = []
    return each_call(lambda step: kept.append(("loss", 1.0 / (step + 1), time.time_ns() // 1_000_000, step)), 5000)


def durable() -> Figures:
    """Rows, all in one transaction."""
    return cpu(lambda: insert(50_000), 50_000)


def batch() -> Figures:
    return cpu(lambda: [insert(1000) for _ in range(10)], 10)


def write_million() -> Figures:
    steps, times, numbers = (
        array("q", range(POINTS)),
        array("q", [1_700_000_000_000]) * POINTS,
        array("d", [0.5]) * POINTS,
    )
    with database:
        for begin in range(0, POINTS, BLOCK):
            parts = [each[begin : begin + BLOCK].tobytes() for each in (steps, times, numbers)]
            database.execute("INSERT INTO blocks (steps, times, numbers) VALUES (?, ?, ?)", parts)
    return {}


def read_million() -> Figures:
    """Packed arrays out of blocks."""

    def work() -> None:
        found = array("q"), array("q"), array("d")
        columns = zip(*database.execute("SELECT steps, times, numbers FROM blocks ORDER BY number"), strict=True)
        for whole, parts in zip(found, columns, strict=True):
            whole.frombytes(b"".join(parts))

    return cpu(work, 1)


answer({
    "short_run": short_run, "log_metric": log_metric, "durable": durable, "batch": batch,
    "write_million": write_million, "read_million": read_million, "sample_million": read_million,
})  # fmt: skip
