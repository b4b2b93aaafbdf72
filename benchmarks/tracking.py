"""What tracking costs beside MLflow, and beside the least it could cost: raw sqlite3 with the same durability.

Run it with ``make bench``. Everything is CPU time unless a row says otherwise, the median of interleaved rounds. The
limit is no competitor but the floor that the database and the interpreter set; ``contestants/`` says what each does.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from interleaved import Contestant, Row, arguments, cpu_of_python, in_turns, print_rows, taking_turns

# What any core needs first.
LEAST_IMPORTS = "import sqlite3, json, threading, uuid"


def main() -> None:
    given = arguments(__doc__ or "")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        scripts = {
            "mlflow": (given.mlflow, "with_mlflow.py"),
            "ours": (sys.executable, "with_ratoon.py"),
            "limit": (sys.executable, "with_sqlite3.py"),
        }
        contestants = {
            key: stack.enter_context(Contestant(python, script, Path(name, key)))
            for key, (python, script) in scripts.items()
        }
        rows = chain(imports(given.mlflow, given.rounds), questions(contestants, given.rounds))
        print_rows("Tracking on a SQLite file: CPU", rows)


def imports(mlflow: str, rounds: int) -> Iterator[Row]:
    """Importing the package in a fresh interpreter."""
    programs = {
        "mlflow": (mlflow, "import mlflow"),
        "ours": (sys.executable, "import ratoon"),
        "limit": (sys.executable, LEAST_IMPORTS),
    }
    found = taking_turns(programs, lambda program: {"cpu": cpu_of_python(*program)}, rounds)
    yield Row.of("import", found, "cpu")


def questions(contestants: dict[str, Contestant], rounds: int) -> Iterator[Row]:
    """Everything that is asked of processes that run already."""

    def rows(question: str, *texts: tuple[str, str, str]) -> Iterator[Row]:
        found = in_turns(contestants, question, rounds)
        for figure, text, unit in texts:
            yield Row.of(text, found, figure, unit)

    yield from rows("short_run", ("cpu", "start + 10 params + end", "seconds"))
    yield from rows(
        "log_metric",
        ("cpu", "log_metric, the caller's thread", "seconds"),
        ("p50", "log_metric, wall, median", "seconds"),
        ("p99", "log_metric, wall, p99", "seconds"),
    )
    yield from rows(
        "durable",
        ("cpu", "log_metric until it is durable, all threads", "seconds"),
        ("wall", "durable metrics, wall", "seconds each, as a rate"),
    )
    yield from rows("batch", ("cpu", "log_batch of 1,000 points", "seconds"))
    for contestant in contestants.values():
        contestant.ask("write_million")
    yield from rows("read_million", ("cpu", "one million points read to arrays", "seconds"))
    others = {name: contestants[name] for name in ("ours", "limit")}
    yield Row.of("one million points sampled to 1,000", in_turns(others, "sample_million", rounds), "cpu")


if __name__ == "__main__":
    main()
