"""Whether what a model requires is installed here, in the versions that it was saved with."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml
from msgspec import Struct

from ratoon.errors import Corrupt, NotFound
from ratoon.models.requirements import PYTHON_ENV_FILE, REQUIREMENTS_FILE

# MLflow lists itself in every model; ratoon reads them without it.
_NOT_NEEDED = frozenset({"mlflow", "mlflow-skinny"})
_LINE = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(\[[^]]*\])?\s*(?P<rest>.*)")
_PIN = re.compile(r"===?\s*(?P<version>[^\s,;]+)")


class Requirement(Struct, frozen=True, kw_only=True):
    """One requirement of a model, beside what is installed.

    Attributes:
        name: The distribution, or ``python``.
        wanted: What the model asks for; empty if any version will do.
        found: The version that is installed; None if it is not.
        state: ``same``, ``other``, ``missing``; ``unclear`` for what is no plain version; ``not needed``.
    """

    name: str
    wanted: str
    found: str | None
    state: str

    @property
    def differs(self) -> bool:
        """Whether the environment is not what the model asks for."""
        return self.state in ("other", "missing")


def check_requirements(folder: Path) -> list[Requirement]:
    """Compare a model's requirements with this environment.

    Raises:
        NotFound: The model lists none.
        Corrupt: A list cannot be read.
    """
    path = folder / REQUIREMENTS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise NotFound(f"model in '{folder}' has no '{REQUIREMENTS_FILE}'; ask who saved it what it needs") from error
    except UnicodeDecodeError as error:
        raise Corrupt(f"file '{path}' is damaged (not UTF-8); fetch or save the model again") from error
    return [*_python(folder), *(_checked(line.strip()) for line in lines if line.strip() and line.strip()[0] != "#")]


def _python(folder: Path) -> Iterator[Requirement]:
    path = folder / PYTHON_ENV_FILE
    if not path.is_file():
        return
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Corrupt(f"file '{path}' is damaged ({type(error).__name__}); fetch or save the model again") from error
    wanted = str(content.get("python") or "") if isinstance(content, dict) else ""
    if wanted:
        found = platform.python_version()
        # Patch releases keep pickles and bytecode readable.
        same = wanted.split(".")[:2] == found.split(".")[:2]
        yield Requirement(name="python", wanted=wanted, found=found, state="same" if same else "other")


def _checked(line: str) -> Requirement:
    match = _LINE.fullmatch(line)
    if match is None or "://" in line:
        return Requirement(name=line, wanted="", found=None, state="unclear")
    name, rest = match["name"], match["rest"].strip()
    found = _installed(name)
    pin = _PIN.fullmatch(rest)
    wanted = pin["version"] if pin else rest
    return Requirement(name=name, wanted=wanted, found=found, state=_state(name, wanted, found, pin is not None))


def _state(name: str, wanted: str, found: str | None, is_pin: bool) -> str:
    if name.lower() in _NOT_NEEDED:
        return "not needed"
    if wanted and not is_pin:
        return "unclear"
    if found is None:
        return "missing"
    # "1.2.*" is a pin, and a local label such as "+cpu" names a build of the same version.
    public = found.partition("+")[0]
    same = public.startswith(wanted[:-1]) if wanted.endswith(".*") else wanted in ("", public, found)
    return "same" if same else "other"


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
