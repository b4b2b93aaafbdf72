"""What a search with a filter and an order costs in 10,000 and in 100,000 runs, beside MLflow and beside the floor.

Run it with ``make bench``. What is asked for is the first hundred runs of ``metrics.m0 > 0.5 ORDER BY metrics.m0 DESC``
on a SQLite file; the figures are CPU of the process that searches, the median of interleaved rounds. In 100,000 runs
MLflow is asked once, because it takes minutes. The limit is one index that holds all the search asks for, and each run
as one JSON document.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from interleaved import Contestant, Figures, Row, arguments, in_turns, print_rows

FEW, MANY = 10_000, 100_000
ROUNDS = 3


def main() -> None:
    given = arguments(__doc__ or "", ROUNDS)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        few, many = ({
            key: stack.enter_context(Contestant(python, f"search_{script}.py", Path(name, f"{key}-{runs}"), runs))
            for key, python, script in (
                ("mlflow", given.mlflow, "mlflow"),
                ("ours", sys.executable, "ratoon"),
                ("limit", sys.executable, "sqlite3"),
            )
        } for runs in (FEW, MANY))  # fmt: skip
        # Two at a time, because nothing is measured meanwhile; a failure of one shows when the results are read.
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda each: each.ask("populate"), [*few.values(), *many.values()]))
        print_rows("Search with a filter and an order: CPU", questions(few, many, given.rounds))


def questions(few: dict[str, Contestant], many: dict[str, Contestant], rounds: int) -> Iterator[Row]:
    """The same search in few runs and in many."""
    in_few = in_turns(few, "search", rounds)
    yield checked(f"search in {FEW:,} runs", in_few)
    mlflow = many.pop("mlflow")
    in_many = in_turns(many, "search", rounds) | {"mlflow": mlflow.ask("search")}
    yield checked(f"search in {MANY:,} runs (MLflow: once)", in_many)
    growth = {name: {"cpu": in_many[name]["cpu"] / in_few[name]["cpu"]} for name in in_few}
    yield Row.of(f"growth from {FEW:,} to {MANY:,} runs", growth, "cpu", "factor")


def checked(text: str, found: dict[str, Figures]) -> Row:
    """The row of a search, if all found the same."""
    results = {name: round(each["found"], 6) for name, each in found.items()}
    if len(set(results.values())) > 1:
        sys.exit(f"{text}: they found different runs: {results}")
    return Row.of(text, found, "cpu")


if __name__ == "__main__":
    main()
