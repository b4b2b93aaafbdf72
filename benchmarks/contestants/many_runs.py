"""The runs that are searched: the same for every contestant, ten metrics, ten params and three tags each.

They are put into the tables that each contestant made, by SQL: through their interfaces it would take MLflow hours and
ratoon minutes. The history of the metrics is left out, because no search reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

FILTER, ORDER, PAGE = "metrics.m0 > 0.5", "metrics.m0 DESC", 100
START = 1_700_000_000_000

KEYS = range(10)


def run_ids(runs: int) -> list[str]:
    random = Random("ids")
    return [f"{random.getrandbits(128):032x}" for _ in range(runs)]


def metrics(runs: int) -> Iterator[tuple[int, str, float]]:
    """The number of the run, the key and the value."""
    for key in KEYS:
        random = Random(f"metric {key}")
        for run in range(runs):
            yield run, f"m{key}", random.random()


def params(runs: int) -> Iterator[tuple[int, str, str]]:
    for key in KEYS:
        random = Random(f"param {key}")
        for run in range(runs):
            yield run, f"p{key}", str(random.randrange(1000))


def tags(runs: int) -> Iterator[tuple[int, str, str]]:
    for key, value in (("mlflow.user", "ada"), ("mlflow.source.name", "train.py"), ("mlflow.runName", "run-{}")):
        for run in range(runs):
            yield run, key, value.format(run)
