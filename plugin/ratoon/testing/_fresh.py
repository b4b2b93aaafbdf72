"""Processes and environments in which nothing is imported or installed yet.

PyTorch's builds for processors without a GPU are not on the index that uv asks: where it is required, plain pip
installs it, with whatever its configuration says.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from ratoon.models.trust import Trust, TrustPolicy
from ratoon.testing import _predicting

_SECONDS = 1800


def predict_in(
    python: Path | None, folder: Path, data: Any, *, trust: Trust, plugins: Sequence[str], workspace: Path
) -> Any:
    """Load a model and predict in a process of its own, in which MLflow cannot be imported.

    Args:
        python: The interpreter; this one if None.
        folder: The model.
        data: What it is called with.
        trust: What loading needs.
        plugins: Dotted names of plugins to import beside those that are installed.
        workspace: An existing folder for what the processes exchange.
    """
    given, answer = workspace / "given.pkl", workspace / "answer.pkl"
    _predicting.write_data(data, given)
    policy = trust.types if isinstance(trust, TrustPolicy) else trust
    arguments = (str(folder), str(given), str(answer), json.dumps(policy), *plugins)
    # -P, so that the modules beside the script are not found as modules of their own.
    command = [str(python or sys.executable), "-P", _predicting.__file__, *arguments]
    _run(command, workspace, isolated=python is not None)
    return _predicting.read_data(answer)


def run_in_this_interpreter(script: str, *arguments: str, cwd: Path) -> None:
    """Run a script in a process of its own; its errors fail the test with what it printed."""
    _run([sys.executable, "-c", script, *arguments], cwd, isolated=False)


def fresh_environment(requirements: Path, ratoon: str | Path | None = None) -> Path:
    """A virtual environment with ratoon and what a file requires; the same one for the same requirements.

    Args:
        requirements: The ``requirements.txt`` of a model.
        ratoon: A folder with ratoon's source or a requirement; as it is installed here if None.

    Returns:
        Its interpreter.
    """
    return _environment(requirements.read_text(), tuple(_ratoon(ratoon)))


@functools.cache
def _environment(requirements: str, ratoon: tuple[str, ...]) -> Path:
    # Not in pytest's own folder, which keeps what the last three sessions made: these can have gigabytes.
    home = Path(tempfile.mkdtemp(prefix="ratoon-environment-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    folder, listed = home / "venv", home / "requirements.txt"
    listed.write_text(requirements)
    uv = _uv()
    if uv:
        _run([uv, "venv", "--quiet", "--seed", "--python", sys.executable, str(folder)], home)
    else:
        _run([sys.executable, "-m", "venv", str(folder)], home)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    needs_torch = re.search(r"^torch\b", requirements, re.MULTILINE)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install = pip if needs_torch or not uv else [uv, "pip", "install", "--quiet", "--python", str(python)]
    _run([*install, "-r", str(listed), *ratoon], home)
    return python


def _ratoon(given: str | Path | None) -> list[str]:
    """The arguments that install ratoon as it is here: the same source, or the same version."""
    installed = distribution("ratoon")
    if given is None:
        origin = urlparse(json.loads(installed.read_text("direct_url.json") or "{}").get("url", ""))
        given = Path(unquote(origin.path)) if origin.scheme == "file" else f"ratoon=={installed.version}"
    # Editable, because tools keep what they built from a folder, and would not see what changed in it since.
    return ["-e", str(given)] if Path(given).is_dir() else [str(given)]


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def _run(command: Sequence[str], cwd: Path, *, isolated: bool = True) -> None:
    """Run a program; one that fails raises AssertionError with what it printed."""
    hidden = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME") if isolated else ()
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    if not isolated:
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout}\n{done.stderr}"
