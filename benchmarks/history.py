"""What a million points cost as the wire's JSON, in one answer and in pages."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from interleaved import Figures, Row, taking_turns
from load import exchange, post
from servers import API, Server

POINTS = 1_000_000
# MLflow takes minutes for a million: so many are written and read, and the figure is multiplied. In pages that favours
# it, because each page of it costs more than the one before.
MLFLOW_POINTS = 50_000
PAGE = 25_000
BATCH = 1000
START = 1_700_000_000_000

_TOKEN = re.compile(rb'"next_page_token": *"([^"]*)"')


class History(NamedTuple):
    """Points that lie on a server."""

    server: Server
    run_id: str
    points: int


def histories(servers: Mapping[str, Server], rounds: int) -> Iterator[Row]:
    """The rows for both ways of reading."""
    sizes = {key: MLFLOW_POINTS if key == "mlflow" else POINTS for key in servers}
    written = {key: History(server, write(server, sizes[key]), sizes[key]) for key, server in servers.items()}
    for text, page in (("in one answer", None), (f"in pages of {PAGE:,}", PAGE)):
        found = taking_turns(written, functools.partial(read, page), rounds)
        yield Row.of(f"one million points, {text}", found, "cpu")


def write(server: Server, points: int) -> str:
    """A run with so many points of one metric."""
    created = server.post("/runs/create", {"experiment_id": "0", "start_time": START})
    run_id: str = created["run"]["info"]["run_id"]

    def batch(first: int) -> bytes:
        steps = range(first, first + BATCH)
        found = [{"key": "million", "value": 1 / (step + 1), "timestamp": START + step, "step": step} for step in steps]
        return post(server.port, f"{API}/runs/log-batch", {"run_id": run_id, "metrics": found})

    # One after the other, as a training would.
    exchange(server.port, (batch(first) for first in range(0, points, BATCH)), connections=1)
    return run_id


def read(page: int | None, history: History) -> Figures:
    """CPU seconds of the server for a million points; the benchmark ends if it sends more or fewer than it has."""
    asked = {"run_id": history.run_id, "metric_key": "million"} | ({"max_results": str(page)} if page else {})
    found, token = 0, b""
    began = history.server.cpu()
    while True:
        query = urlencode(asked | ({"page_token": token.decode()} if token else {}))
        content = history.server.request("GET", f"{API}/metrics/get-history?{query}")
        found += content.count(b'"timestamp"')
        # It is the first of the fields, or the last.
        next_token = _TOKEN.search(content[:200] + content[-200:])
        if next_token is None:
            break
        token = next_token[1]
    if found != history.points:
        sys.exit(f"{found} points were read of {history.points} that were written")
    return {"cpu": (history.server.cpu() - began) * POINTS / history.points}
