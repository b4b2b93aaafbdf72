"""Airflow reads its environment when it is imported, and warns: every test that needs it starts a fresh process."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ratoon.serving.deployments import list_deployments, undeploy
from ratoon.settings import load_settings
from ratoon.tracking.client import Client

HERE = Path(__file__).parent
DRIVERS = HERE / "drivers"
ANSWER = "ANSWER "

Driver = Callable[..., Any]


def quiet(home: Path) -> dict[str, str]:
    """An environment in which Airflow and Kedro talk to nobody and find nothing but what lies in ``home``."""
    foreign = ("AIRFLOW", "RATOON_", "KEDRO_", "PYTHON")
    own = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return own | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
        "KEDRO_DISABLE_TELEMETRY": "1",
    }


def start(arguments: list[str], home: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=home,
        env=quiet(home) | dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="session")
def take_out_of_service() -> Callable[[Path], None]:
    """Stops the servers that a test which failed half-way has left."""

    def take_out_of_service(home: Path) -> None:
        client = Client(load_settings(home))
        for deployment in list_deployments(client):
            undeploy(client, deployment.name)

    return take_out_of_service


@pytest.fixture(scope="session")
def surroundings() -> Callable[[Path], dict[str, str]]:
    return quiet


@pytest.fixture(scope="session")
def airflow_home(
    tmp_path_factory: pytest.TempPathFactory, take_out_of_service: Callable[[Path], None]
) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    yield home
    take_out_of_service(home)


@pytest.fixture(scope="session")
def drive(airflow_home: Path) -> Driver:
    """Run a script of the folder ``drivers`` in a process of its own; what it answers is the value."""

    def drive(name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Any:
        done = start([str(DRIVERS / f"{name}.py"), *arguments], airflow_home, environment or {})
        answers = [line.removeprefix(ANSWER) for line in done.stdout.splitlines() if line.startswith(ANSWER)]
        assert done.returncode == 0 and len(answers) == 1, done.stdout
        return json.loads(answers[0])

    return drive


@pytest.fixture(scope="session")
def wine_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = HERE.parent.parent / "examples" / "kedro_wine" / "create.py"
    specification = importlib.util.spec_from_file_location("create_wine_project", script)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    folder: Path = module.create(tmp_path_factory.mktemp("projects") / "wine")
    return folder


@pytest.fixture(scope="session")
def airflow(airflow_home: Path) -> Driver:
    """Run the command line of Airflow; what it prints as JSON is the value."""

    def airflow(*arguments: str) -> Any:
        done = start(["-m", "airflow", *arguments], airflow_home, {})
        assert done.returncode == 0, done.stdout
        return json.loads(done.stdout.splitlines()[-1])

    return airflow
