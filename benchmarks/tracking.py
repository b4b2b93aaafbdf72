"""What tracking costs beside MLflow, and beside the least it could cost: raw sqlite3 with the same durability.

Run it with ``make bench``. Everything is CPU time unless a row says otherwise, the median of interleaved rounds. The
limit is no competitor but the floor that the database and the interpreter set; ``contestants/`` says what each does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from interleaved import Contestant, Row, cpu_of_python, in_turns, medians, print_rows

MLFLOW = Path(__file__).parent.parent / ".venv-mlflow" / "bin" / "python"
ROUNDS = 5

# What any core needs first.
LEAST_IMPORTS = "import sqlite3, json, threading, uuid"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlflow", default=str(MLFLOW), metavar="PYTHON", help="interpreter that has MLflow")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    if not Path(given.mlflow).exists():
        sys.exit(f"{given.mlflow} does not exist; run 'make bench', which makes an environment with MLflow")
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
        print_rows([imports(given.mlflow, given.rounds), *questions(contestants, given.rounds)])


def imports(mlflow: str, rounds: int) -> Row:
    """Importing the package in a fresh interpreter."""
    figures = [
        {
            "mlflow": cpu_of_python(mlflow, "import mlflow"),
            "ours": cpu_of_python(sys.executable, "import ratoon"),
            "limit": cpu_of_python(sys.executable, LEAST_IMPORTS),
        }
        for _ in range(rounds)
    ]
    return Row("import", **medians(figures))


def questions(contestants: dict[str, Contestant], rounds: int) -> Iterator[Row]:
    """Everything that is asked of processes that run already."""

    def row(text: str, question: str, figure: str = "cpu") -> Row:
        return Row(text, **{name: found[figure] for name, found in in_turns(contestants, question, rounds).items()})

    yield row("start + 10 params + end", "short_run")
    calls = in_turns(contestants, "log_metric", rounds)
    for figure, text in (("cpu", "CPU of the caller"), ("p50", "wall, median"), ("p99", "wall, p99")):
        yield Row(f"log_metric, {text}", **{name: found[figure] for name, found in calls.items()})
    yield row("log_metric until it is durable, all threads", "durable")
    yield row("log_batch of 1,000 points", "batch")
    for contestant in contestants.values():
        contestant.ask("write_million")
    yield row("one million points read to arrays", "read_million")
    others = {name: contestants[name] for name in ("ours", "limit")}
    sampled = in_turns(others, "sample_million", rounds)
    yield Row("one million points sampled to 1,000", None, sampled["ours"]["cpu"], sampled["limit"]["cpu"])


if __name__ == "__main__":
    main()
