"""What must be installed to load a model, pinned, in the three files that MLflow reads."""

from __future__ import annotations

import pickletools
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import yaml

REQUIREMENTS_FILE = "requirements.txt"
PYTHON_ENV_FILE = "python_env.yaml"
CONDA_FILE = "conda.yaml"
BUILD_TOOLS = ("pip", "setuptools", "wheel")

ENVIRONMENT = {"conda": CONDA_FILE, "virtualenv": PYTHON_ENV_FILE}


def pinned(distributions: Iterable[str]) -> list[str]:
    """``name==version`` of each distribution, sorted; only the name of one that is not installed here."""
    return [_pin(name) for name in sorted(set(distributions))]


def named_in_pickle(path: Path) -> set[str]:
    """The distributions whose modules a pickle that was written by this process will import.

    The file is looked through, not loaded: a text that is the name of a module imported here is taken for that module.
    """
    with path.open("rb") as file:
        texts = {argument for _, argument, _ in pickletools.genops(file) if isinstance(argument, str)}
    packages = {text.partition(".")[0] for text in texts if text in sys.modules}
    distributions = packages_distributions()
    return {name for package in packages for name in distributions.get(package, ())}


def write_requirements(distributions: Iterable[str], folder: Path) -> None:
    """Write ``requirements.txt``, ``python_env.yaml`` and ``conda.yaml`` into the folder."""
    pins = pinned(distributions)
    python = platform.python_version()
    tools = [_pin(name) for name in BUILD_TOOLS]
    (folder / REQUIREMENTS_FILE).write_text("\n".join(pins), encoding="utf-8")
    virtualenv = {"python": python, "build_dependencies": tools, "dependencies": [f"-r {REQUIREMENTS_FILE}"]}
    _write(virtualenv, folder / PYTHON_ENV_FILE)
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", tools[0].replace("==", "<="), {"pip": pins}],
        "name": "mlflow-env",
    }
    _write(conda, folder / CONDA_FILE)


def _pin(name: str) -> str:
    try:
        return f"{name}=={version(name)}"
    except PackageNotFoundError:
        return name


def _write(value: dict[str, Any], path: Path) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
