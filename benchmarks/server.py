"""What a request costs ratoon's server and MLflow's: CPU of the server's processes, sixteen connections, SQLite.

Run it with ``make bench``. Both servers run at once and are asked in turns; the median of the rounds is printed, with
what a server needs until its first answer and while nobody asks.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import psutil
from tracking import MLFLOW, ROUNDS

CONNECTIONS = 16
API = "/api/2.0/mlflow"
START = 1_700_000_000_000


class Question(NamedTuple):
    """What is asked: a title, the path, the body for a run and a step, and how often a round."""

    text: str
    path: str
    body: Callable[[str, int], dict[str, Any]]
    count: int


class Server:
    """A server in processes of its own, and what they used."""

    def __init__(self, command: Sequence[object], folder: Path) -> None:
        folder.mkdir()
        self.port = _free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RATOON_"))}
        quiet = {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        self._log = open(folder / "log", "wb")
        arguments = [str(part).format(folder=folder, port=self.port) for part in command]
        self._process = psutil.Popen(arguments, cwd=folder, env=kept | quiet, stdout=self._log, stderr=self._log)
        self._wait()
        self.first_answer = self.cpu()
        time.sleep(3)
        self.idle = sum(each.memory_full_info().pss for each in self._tree())
        self.run_id = self.call("/runs/create", {"experiment_id": "0", "start_time": START})["run"]["info"]["run_id"]

    def call(self, path: str, body: dict[str, Any], connection: http.client.HTTPConnection | None = None) -> Any:
        """The answer to a request; the benchmark ends if it is refused."""
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", API + path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            sys.exit(f"{path} was answered with {answer.status}: {content[:500]!r}")
        return json.loads(content)

    def cost(self, question: Question, round_: int) -> float:
        """CPU seconds of the server for one of the question's requests, over sixteen connections."""

        def work(number: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            for step in range(number, question.count, CONNECTIONS):
                self.call(question.path, question.body(self.run_id, round_ * 100_000 + step), connection)
            connection.close()

        began = self.cpu()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(work, range(CONNECTIONS)))
        return (self.cpu() - began) / question.count

    def cpu(self) -> float:
        """CPU seconds of all its processes so far."""
        return sum(sum(each.cpu_times()[:2]) for each in self._tree())

    def _tree(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def _wait(self) -> None:
        for _ in range(600):
            try:
                self.call("/experiments/search", {"max_results": 1})
                return
            except OSError:
                time.sleep(0.1)
        sys.exit("the server did not answer within a minute")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tree = self._tree()
        for process in reversed(tree):
            process.terminate()
        psutil.wait_procs(tree, timeout=20)
        self._log.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlflow", default=str(MLFLOW), metavar="PYTHON", help="interpreter that has MLflow")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    database = "sqlite:///{folder}/runs.db"
    commands = {
        "mlflow": [given.mlflow, "-m", "mlflow", "server", "--workers", "1", "--port", "{port}",
                   "--backend-store-uri", database, "--artifacts-destination", "{folder}/artifacts"],
        "ours": [sys.executable, "-m", "ratoon", "--tracking-uri", database, "server", "--port", "{port}"],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        servers = {key: stack.enter_context(Server(command, Path(name, key))) for key, command in commands.items()}
        print(f"{'CPU of the server for one request':40} {'MLflow':>12} {'ratoon':>12} {'MLflow ÷':>9}")
        print_row("first answer, CPU s", *(servers[key].first_answer for key in commands))
        print_row("idle memory, MB", *(servers[key].idle / 1e6 for key in commands))
        for question in questions():
            figures = [[server.cost(question, round_) for server in servers.values()] for round_ in range(given.rounds)]
            print_row(f"{question.text}, ms", *(1000 * statistics.median(each) for each in zip(*figures, strict=True)))


def questions() -> list[Question]:
    """Everything that is asked."""

    def metric(run_id: str, step: int) -> dict[str, Any]:
        return {"run_id": run_id, "key": "loss", "value": 0.5, "timestamp": START + step, "step": step}

    def batch(run_id: str, step: int) -> dict[str, Any]:
        points = [{"key": "acc", "value": 0.5, "timestamp": START, "step": step * 100 + each} for each in range(100)]
        return {"run_id": run_id, "metrics": points}

    def run(run_id: str, step: int) -> dict[str, Any]:
        return {"experiment_id": "0", "start_time": START + step, "run_name": f"run-{step}"}

    def search(run_id: str, step: int) -> dict[str, Any]:
        return {"experiment_ids": ["0"], "max_results": 100, "order_by": ["attributes.start_time DESC"]}

    return [
        Question("log-metric", "/runs/log-metric", metric, 320),
        Question("log-batch of 100 metrics", "/runs/log-batch", batch, 96),
        Question("create a run", "/runs/create", run, 96),
        Question("search, 100 runs a page", "/runs/search", search, 48),
    ]


def print_row(text: str, mlflow: float, ours: float) -> None:
    print(f"{text:40} {mlflow:>12.2f} {ours:>12.2f} {mlflow / ours:>8.1f}×", flush=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
