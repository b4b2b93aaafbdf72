"""README's first command, as a stranger would run it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_demonstration_goes_the_whole_way(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    done = subprocess.run([sys.executable, tmp_path / "examples" / "demo.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout
    for said in (
        "$ kedro run --params model.n_estimators=1",
        "model.n_estimators",
        "version 2 of model 'wine' is now 'champion', before it was version 1",
        "version 1 of model 'wine' may not take 'champion'",
        '{"predictions":[0]}',
        "deployment 'wine' is out of service",
    ):
        assert said in told
