"""What only a real scheduler shows: tasks in processes of their own, connections in Airflow's database, kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from ratoon.tracking.client import Client

pytestmark = pytest.mark.slow

DAGS = Path(__file__).parent / "dags"

# Begins a run, starts a process of its own, tells both ids and never ends.
ENDLESS = """
import os, subprocess, sys, time
from pathlib import Path
from ratoon.tracking.client import Client
Client().start_run(run_id=os.environ["RATOON_RUN_ID"])
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
here = Path(__file__)
here.with_suffix(".half").write_text(f"{os.getpid()} {child.pid}")
here.with_suffix(".half").rename(here.with_suffix(".pids"))
time.sleep(600)
"""

PATIENCE = 120.0


class Stack:
    """The processes and a client for them."""

    def __init__(self, home: Path, dags: Path, environment: Mapping[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._url = f"http://127.0.0.1:{self._port}"
        self._home = home
        self._environment = dict(environment) | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__BASE_URL": self._url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self._client = httpx.Client(base_url=f"{self._url}/api/v2", trust_env=False, timeout=60)

    def __enter__(self) -> Stack:
        for command in (["db", "migrate"], ["dags", "reserialize"]):
            assert self._start(*command).wait(PATIENCE) == 0, self.logs()
        self._processes = [self._start("api-server"), self._start("scheduler", "--skip-serve-logs")]
        self.wait(self._healthy)
        token = httpx.get(f"{self._url}/auth/token", trust_env=False, timeout=60).json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            for process in self._processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(15)

    def wait(self, condition: Callable[[], Any]) -> Any:
        """The first true answer of the condition."""
        until = time.monotonic() + PATIENCE
        while not (answer := condition()):
            assert time.monotonic() < until, self.logs()
            time.sleep(0.25)
        return answer

    def logs(self) -> str:
        return "\n".join(path.read_text()[-5000:] for path in sorted(self._home.glob("*.output")))

    def get(self, path: str) -> Any:
        return self._client.get(path).raise_for_status().json()

    def define_connection(self, conn_id: str, extra: str) -> None:
        body = {"connection_id": conn_id, "conn_type": "ratoon", "extra": extra}
        self._client.post("/connections", json=body).raise_for_status()

    def trigger(self, dag_id: str) -> str:
        response = self._client.post(f"/dags/{dag_id}/dagRuns", json={"logical_date": None})
        return f"/dags/{dag_id}/dagRuns/{response.raise_for_status().json()['dag_run_id']}"

    def finish(self, run: str) -> str:
        return self.wait(lambda: (state := self.get(run)["state"]) in ("success", "failed") and state)

    def returned(self, run: str, task_id: str) -> Any:
        return self.get(f"{run}/taskInstances/{task_id}/xcomEntries/return_value?deserialize=true")["value"]

    def mark_failed(self, run: str, task_id: str) -> None:
        self._client.patch(f"{run}/taskInstances/{task_id}", json={"new_state": "failed"}).raise_for_status()

    def _healthy(self) -> bool:
        assert all(process.poll() is None for process in self._processes), self.logs()
        with suppress(httpx.TransportError):
            health = self.get("/monitor/health")
            return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler"))
        return False

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with open(self._home / f"{arguments[0]}.output", "ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "airflow", *arguments],
                cwd=self._home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, take_out_of_service: Callable[[Path], None]) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("scheduler")
    yield place
    take_out_of_service(place)


@pytest.fixture(scope="module")
def tracking_uri(place: Path) -> str:
    return f"sqlite:///{place}/ratoon.db"


@pytest.fixture(scope="module")
def stack(place: Path, tracking_uri: str, wine_project: Path, surroundings: Callable[[Path], dict[str, str]]):
    endless = place / "endless"
    endless.write_text(f"#!{sys.executable}{ENDLESS}")
    endless.chmod(0o755)
    environment = {"RATOON_EXAMPLE_PROJECT": str(wine_project), "ENDLESS_INTERPRETER": str(endless)}
    shutil.copytree(DAGS, place / "dags")
    with Stack(place, place / "dags", surroundings(place) | environment) as stack:
        stack.define_connection("ratoon_default", json.dumps({"tracking_uri": tracking_uri}))
        yield stack


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def answers(endpoint: str) -> bool:
    try:
        return httpx.get(f"{endpoint}/ping", trust_env=False, timeout=10).is_success
    except httpx.ConnectError:
        return False


def test_a_deployment_outlives_the_task_that_made_it_until_it_is_undeployed(stack):
    run = stack.trigger("ratoon_wine")
    assert stack.finish(run) == "success"
    assert stack.returned(run, "promote")["previous"] is None
    endpoint = stack.returned(run, "deploy")["endpoint"]
    assert answers(endpoint)
    again = stack.trigger("clean_up")
    assert stack.finish(again) == "success"
    assert not answers(endpoint)


def test_marking_a_task_as_failed_stops_kedro_and_ends_its_run(stack, place, tracking_uri):
    run = stack.trigger("endless")
    pids = [int(pid) for pid in stack.wait(lambda: read(place / "endless.pids")).split()]
    assert all(alive(pid) for pid in pids)
    stack.mark_failed(run, "train")
    stack.wait(lambda: not any(alive(pid) for pid in pids))
    client = Client(tracking_uri=tracking_uri)
    stack.wait(lambda: [tracked.status for tracked in runs_of("endless", client)] == ["KILLED"])


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def runs_of(dag_id: str, client: Client) -> list[Any]:
    return [run for run in client.tracking.search_runs().items if run.tags.get("airflow.dag_id") == dag_id]
