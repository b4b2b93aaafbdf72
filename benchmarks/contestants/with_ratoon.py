"""ratoon's answers: the public client on a SQLite file, or on a server."""

from __future__ import annotations

import sys

from asked import Figures, answer, cpu, each_call

from ratoon.entities import Metric, RunBatch
from ratoon.tracking.client import Client

client = Client(tracking_uri=sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{sys.argv[1]}/ratoon.db")
run = client.start_run()
steps = {"batch": 0, "million": 0}


def points(key: str, count: int) -> tuple[Metric, ...]:
    """Points of one metric that nobody has written yet."""
    begin = steps[key]
    steps[key] += count
    return tuple(Metric(key, 0.5, 1_700_000_000_000, step) for step in range(begin, steps[key]))


def short_run() -> Figures:
    def work() -> None:
        for _ in range(50):
            with client.start_run() as short:
                short.log_params({f"p{number}": number for number in range(10)})

    return cpu(work, 50)


def log_metric() -> Figures:
    found = each_call(lambda step: run.log_metric("loss", 1.0 / (step + 1), step), 5000)
    run.flush()
    return found


def durable() -> Figures:
    def work() -> None:
        for step in range(50_000):
            run.log_metric("durable", 1.0 / (step + 1), step)
        run.flush()

    return cpu(work, 50_000)


def batch() -> Figures:
    batches = [RunBatch(run_id=run.run_id, metrics=points("batch", 1000)) for _ in range(10)]
    return cpu(lambda: [client.tracking.log_batch(each) for each in batches], 10)


def write_million() -> Figures:
    for _ in range(1000):
        client.tracking.log_batch(RunBatch(run_id=run.run_id, metrics=points("million", 1000)))
    return {}


def read_million() -> Figures:
    return cpu(lambda: client.tracking.metric_history(run.run_id, "million"), 1)


def sample_million() -> Figures:
    return cpu(lambda: client.tracking.metric_sample(run.run_id, "million", 1000), 1)


answer({
    name: question
    for name, question in globals().items()
    if name in ("short_run", "log_metric", "durable", "batch", "write_million", "read_million", "sample_million")
})  # fmt: skip
