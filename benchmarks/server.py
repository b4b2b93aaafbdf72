"""What a request costs ratoon's server and MLflow's: CPU of the server's processes, sixteen connections, SQLite.

Run it with ``make bench``. The servers run at once and are asked in turns; the median of the rounds is printed. The
limit is uvicorn with a handler that reads the body and does nothing, or makes the JSON of points that it has as arrays.
MLflow has one worker, no workers for jobs, and as many connections to its database as are asked for.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain, count
from pathlib import Path
from typing import Any, NamedTuple

from history import histories
from interleaved import Contestant, Figures, Row, arguments, print_rows, taking_turns
from load import exchange, post
from servers import API, Server, commands

START = 1_700_000_000_000
# Where MLflow answers one request, the others answer so many in the same time, and need them to be measured as well.
MORE = 20
# On a slow disk MLflow refuses some of sixteen writers after half a minute: they try again, as users would.
MOST_REFUSALS = 20
ROUNDS = 3

Servers = dict[str, Server]

_turns = count()


class Question(NamedTuple):
    """What is asked: a title, the path, the body for a run and a step, and how often MLflow is asked in a turn."""

    text: str
    path: str
    body: Callable[[str, int], dict[str, Any]]
    times: int


def main() -> None:
    given = arguments(__doc__ or "", ROUNDS)
    started = commands(given.mlflow, "empty_server.py")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        print_rows("Starting a server", starts(started, folder, given.rounds))
        servers = {key: stack.enter_context(Server(command, folder / key)) for key, command in started.items()}
        print_rows("A request, sixteen connections: CPU of the server", requests(servers, given.rounds))
        print_rows("A metric's history: CPU of the server", histories(servers, given.rounds))
        programs = {
            "mlflow": (given.mlflow, "with_mlflow.py", servers["mlflow"]),
            "ours": (sys.executable, "with_ratoon.py", servers["ours"]),
        }
        clients = {
            key: stack.enter_context(Contestant(python, script, folder / f"{key}-client", server.url))
            for key, (python, script, server) in programs.items()
        }
        users = {
            key: stack.enter_context(
                Contestant(given.mlflow, "mlflow_session.py", folder / f"{key}-user", servers[key].url)
            )
            for key in programs
        }
        rows = chain(logging(clients, servers, given.rounds), sessions(users, servers, given.rounds))
        print_rows("Clients and their servers: CPU of both", rows)


def starts(started: dict[str, list[object]], folder: Path, rounds: int) -> Iterator[Row]:
    """What a server needs until its first answer, in an empty folder, and while nobody asks."""
    folders = (folder / f"start-{number}" for number in count())

    def start(command: list[object]) -> Figures:
        with Server(command, next(folders)) as server:
            return {"cpu": server.first_answer, "memory": server.idle_memory()}

    found = taking_turns(started, start, rounds)
    yield Row.of("until the first answer, CPU", found, "cpu")
    yield Row.of("idle memory", found, "memory", "bytes")


def requests(servers: Servers, rounds: int) -> Iterator[Row]:
    """Every question, to each server in turns."""
    runs = {key: (server, prepared(server), 1 if key == "mlflow" else MORE) for key, server in servers.items()}
    for question in questions():
        yield Row.of(question.text, taking_turns(runs, functools.partial(cost, question), rounds), "cpu")


def prepared(server: Server) -> str:
    """A run to log to, among a page of others."""
    for number in range(100):
        created = server.post("/runs/create", {"experiment_id": "0", "start_time": START + number})
        run_id: str = created["run"]["info"]["run_id"]
        params = [{"key": f"p{each}", "value": str(number)} for each in range(5)]
        metrics = [{"key": f"m{each}", "value": number / 7, "timestamp": START, "step": 0} for each in range(5)]
        server.post("/runs/log-batch", {"run_id": run_id, "params": params, "metrics": metrics})
    return run_id


def cost(question: Question, asked: tuple[Server, str, int]) -> Figures:
    """CPU seconds of a server for one of the question's requests, each with a step of its own."""
    server, run_id, more = asked
    size = question.times * more
    first = next(_turns) * size
    bodies = (question.body(run_id, step) for step in range(first, first + size))
    made = [post(server.port, API + question.path, body) for body in bodies]
    began = server.cpu()
    exchange(server.port, made, repeats=MOST_REFUSALS if more == 1 else 0)
    return {"cpu": (server.cpu() - began) / size}


def questions() -> list[Question]:
    """Everything that is asked."""

    def metric(run_id: str, step: int) -> dict[str, Any]:
        return {"run_id": run_id, "key": "loss", "value": 0.5, "timestamp": START + step, "step": step}

    def batch(size: int) -> Callable[[str, int], dict[str, Any]]:
        def body(run_id: str, step: int) -> dict[str, Any]:
            steps = range(step * size, (step + 1) * size)
            points = [{"key": f"acc{size}", "value": 0.5, "timestamp": START, "step": each} for each in steps]
            return {"run_id": run_id, "metrics": points}

        return body

    def run(run_id: str, step: int) -> dict[str, Any]:
        return {"experiment_id": "0", "start_time": START + step, "run_name": f"run-{step}"}

    def search(run_id: str, step: int) -> dict[str, Any]:
        return {"experiment_ids": ["0"], "max_results": 100, "order_by": ["attributes.start_time DESC"]}

    return [
        Question("log-metric", "/runs/log-metric", metric, 160),
        Question("log-batch of 100 metrics", "/runs/log-batch", batch(100), 48),
        Question("log-batch of 1,000 metrics", "/runs/log-batch", batch(1000), 16),
        Question("search, 100 runs a page", "/runs/search", search, 16),
        Question("create a run", "/runs/create", run, 48),
    ]


def logging(clients: dict[str, Contestant], servers: Servers, rounds: int) -> Iterator[Row]:
    """What each project's own client and server need together, until all of it is durable."""
    yield Row.of("start + 10 params + end", together(clients, servers, "short_run", rounds), "both")
    durable = together(clients, servers, "durable", rounds)
    yield Row.of("log_metric until it is durable", durable, "both")
    yield Row.of("durable metrics, wall", durable, "wall", "seconds each, as a rate")
    yield Row.of("log_batch of 1,000 points", together(clients, servers, "batch", rounds), "both")


def sessions(users: dict[str, Contestant], servers: Servers, rounds: int) -> Iterator[Row]:
    """What a session of MLflow's own client costs, against either server."""
    found = together(users, servers, "session", rounds)
    yield Row.of("mlflow's client, a session: the server alone", found, "server")
    yield Row.of("mlflow's client, a session: client and server", found, "both")


def together(clients: dict[str, Contestant], servers: Servers, question: str, rounds: int) -> dict[str, Figures]:
    """The client's figures for a question, the CPU of its ``server`` meanwhile, and of ``both``."""

    def ask(pair: tuple[Contestant, Server]) -> Figures:
        client, server = pair
        began = server.cpu()
        figures = client.ask(question)
        used = (server.cpu() - began) / figures["units"]
        return figures | {"server": used, "both": figures["cpu"] + used}

    return taking_turns({key: (client, servers[key]) for key, client in clients.items()}, ask, rounds)


if __name__ == "__main__":
    main()
