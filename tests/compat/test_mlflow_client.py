"""``ratoon server`` as MLflow's own client meets it; what the client does and asserts is in ``scripts/session.py``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from ratoon.entities import Dataset
from ratoon.tracking.client import Client

from .conftest import Running, StartServer

SCRIPT = Path(__file__).parent / "scripts" / "session.py"
PARTS = ("experiments", "runs", "default", "search", "datasets", "artifacts", "models", "registry", "autolog")
MEGABYTE = 1024  # of the KiB in which Linux counts memory

pytestmark = pytest.mark.slow


def session(python: Path, part: str, server: Running, folder: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "RATOON_"))}
    # What is wrong shall show at once: by default the client goes on asking for minutes after a 500.
    environment |= {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_TRACKING_URI": server.url,
        "GIT_PYTHON_REFRESH": "quiet",
    }
    folder.mkdir()
    done = subprocess.run(
        [python, SCRIPT, part, server.url, folder],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"{part}: passed" in done.stdout


@pytest.mark.parametrize("part", PARTS)
def test_the_client_works(part: str, mlflow_python: Path, server: Running, tmp_path: Path) -> None:
    session(mlflow_python, part, server, tmp_path / "work")


def test_the_client_sees_what_ratoon_measured(mlflow_python: Path, server: Running, tmp_path: Path) -> None:
    log_measured(Client(tracking_uri=server.url, user="ada"))
    session(mlflow_python, "measured", server, tmp_path / "work")


def log_measured(client: Client) -> str:
    """Log a model that is measured on two datasets; its id."""
    train, test = (
        Dataset(name="wine", digest=digest, source_type="local", source="wine.csv") for digest in ("0a1b", "ff00")
    )
    with client.start_run(experiment="measured") as run:
        made = run.log_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))
        for step, auc in enumerate((0.5, 0.7)):
            run.log_metric("auc", auc, step, model_id=made.model_id, dataset=train)
        run.log_metrics({"auc": 0.6}, 2, model_id=made.model_id, dataset=test)
        run.log_metric("loss", 0.1, model_id=made.model_id)
    return made.model_id


def test_a_gigabyte_passes_in_constant_memory(mlflow_python: Path, start_server: StartServer, tmp_path: Path) -> None:
    with start_server(f"sqlite:///{tmp_path / 'ratoon.db'}") as server:
        session(mlflow_python, "default", server, tmp_path / "before")
        before = server.memory("VmHWM")
        session(mlflow_python, "gigabyte", server, tmp_path / "work")
        assert server.memory("VmHWM") - before < 48 * MEGABYTE
