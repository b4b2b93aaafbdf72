"""What becomes of runs and values that are still open when the interpreter ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ratoon.entities import RunStatus
from ratoon.tracking.client import Client


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("", RunStatus.FINISHED),
        ("raise ValueError('no data')", RunStatus.FAILED),
        ("import os, sys\nif os.fork() == 0: sys.exit()\nos.wait(); ratoon.log_metric('late', 2)", RunStatus.FINISHED),
        ("import time; time.sleep(1.5)  # longer than the writer's thread waits", RunStatus.FINISHED),
    ],
)
def test_a_run_that_nobody_ends_ends_with_the_script(tmp_path: Path, ending: str, status: RunStatus) -> None:
    code = f"import ratoon\nratoon.log_param('depth', 3)\nratoon.log_metric('loss', 0.5)\n{ending}"
    environ = {"RATOON_TRACKING_URI": f"sqlite:///{tmp_path}/ratoon.db"}
    subprocess.run([sys.executable, "-c", code], env=environ, cwd=tmp_path, capture_output=True)

    (run,) = Client(tracking_uri=environ["RATOON_TRACKING_URI"]).tracking.search_runs().items
    assert run.status is status
    assert run.params == {"depth": "3"}
    assert run.metrics["loss"].value == 0.5
    assert run.end_time is not None
