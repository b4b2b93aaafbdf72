"""Make the wine project: ``python create.py FOLDER`` leaves a complete Kedro project there, without network or git."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

OVERLAY = Path(__file__).with_name("overlay")
QUIET = {"KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def create(folder: Path) -> Path:
    """Make the project in ``folder``, which must not exist or be empty; returns its absolute path."""
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"folder '{folder}' is not empty; name another one")
    with tempfile.TemporaryDirectory() as scratch:
        _kedro_new(Path(scratch))
        shutil.copytree(Path(scratch, "wine"), folder, dirs_exist_ok=True)
    shutil.copytree(OVERLAY, folder, dirs_exist_ok=True)
    _write_wines(folder / "data" / "01_raw" / "wines.csv")
    return folder


def _kedro_new(where: Path) -> None:
    command = [sys.executable, "-m", "kedro", "new", "--name", "wine"]
    command += ["--tools", "none", "--example", "no", "--telemetry", "no"]
    done = subprocess.run(command, cwd=where, env=os.environ | QUIET, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"kedro new failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")


def _write_wines(path: Path) -> None:
    from sklearn.datasets import load_wine

    path.parent.mkdir(parents=True, exist_ok=True)
    load_wine(as_frame=True).frame.to_csv(path, index=False)


def main() -> None:
    """Read the command line and make the project."""
    parser = argparse.ArgumentParser(description="Make the wine project of the ratoon examples.")
    parser.add_argument("folder", type=Path, help="where the project goes; must not exist or be empty")
    arguments = parser.parse_args()
    try:
        print(create(arguments.folder))
    except (OSError, RuntimeError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
