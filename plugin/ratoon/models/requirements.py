"""What must be installed to load a model, pinned, in the three files that MLflow reads.

Which libraries a model needs is read off the model itself: its classes, and what its files name. Files are looked
through, never loaded. Nothing is taken from what merely happens to be imported here.
"""

from __future__ import annotations

import ast
import functools
import pickletools
import platform
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ratoon.models.imported import names_in_pickle

REQUIREMENTS_FILE = "requirements.txt"
PYTHON_ENV_FILE = "python_env.yaml"
CONDA_FILE = "conda.yaml"
BUILD_TOOLS = ("pip", "setuptools", "wheel")

ENVIRONMENT = {"conda": CONDA_FILE, "virtualenv": PYTHON_ENV_FILE}

# Who loads a model with ratoon has it, and MLflow does without.
_LOADER = "ratoon"
_SKOPS_SCHEMA = "schema.json"


def pinned(distributions: Iterable[str]) -> list[str]:
    """``name==version`` of each distribution, sorted; only the name of one that is not installed here.

    A local version label, ``2.13.0+cpu``, is cut off: it names a build that an index need not have.
    """
    return sorted({_pin(_canonical(name)) for name in distributions})


def captured(model: object, folder: Path) -> set[str]:
    """The distributions that the model's class and the files in its folder name."""
    names = {cls.__module__ for cls in type(model).__mro__}
    for path in folder.rglob("*"):
        if path.is_file():
            names |= _named_in(path)
    return _distributions(names)


def named_in_pickle(path: Path) -> set[str]:
    """The distributions whose modules a pickle that was written by this process will import."""
    return _distributions(_in_pickle(path.read_bytes()))


def brought_by_nobody(folder: Path) -> list[str]:
    """The top-level modules that loading imports and that no installed distribution brings: the user's own."""
    names: set[str] = set()
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".py":
            names |= _named_in(path, texts=False)
    tops = {name.partition(".")[0] for name in names} - {_LOADER, "__main__", "?"}
    return sorted(tops - sys.stdlib_module_names - _packages().keys())


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
        return f"{name}=={version(name).partition('+')[0]}"
    except PackageNotFoundError:
        # A package that several distributions bring: tensorflow may have come as tensorflow-cpu.
        others = _packages().get(name.replace("-", "_"), [])
        return _pin(_canonical(others[0])) if others else name


def _named_in(path: Path, *, texts: bool = True) -> set[str]:
    """The modules, or what is in them, that a pickle, a skops file or a source names.

    Args:
        path: The file.
        texts: Whether plain texts count that are names of modules, where a pickle holds functions.
    """
    if path.suffix == ".py":
        return _in_source(path)
    if zipfile.is_zipfile(path):
        return _in_archive(path, texts)
    with path.open("rb") as file:
        # Every pickle since protocol 2 starts with its version.
        is_pickle = re.fullmatch(rb"\x80[\x02-\x05]", file.read(2)) is not None
    return _in_pickle(path.read_bytes(), texts) if is_pickle else set()


def _in_pickle(content: bytes, texts: bool = True) -> set[str]:
    try:
        names = set(names_in_pickle(content))
    except ValueError:  # it only looked like one
        return set()
    if texts and any(name.startswith("cloudpickle.") for name in names):
        # Functions that are written out name as plain texts what they import.
        arguments = {argument for _, argument, _ in pickletools.genops(content) if isinstance(argument, str)}
        names |= arguments & sys.modules.keys()
    return names


def _in_archive(path: Path, texts: bool) -> set[str]:
    """What a skops file names, or the pickles in an archive of PyTorch's."""
    names: set[str] = set()
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member == _SKOPS_SCHEMA:
                names |= set(_modules(_json(archive.read(member))))
            elif member.endswith(".pkl"):
                names |= _in_pickle(archive.read(member), texts)
    return names


def _json(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:  # another library's file of that name
        return None


def _modules(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(module := schema.get("__module__"), str):
            yield module
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from _modules(each)


def _in_source(path: Path) -> set[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:  # what does not run needs nothing
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return names


def _distributions(names: Iterable[str]) -> set[str]:
    """The distributions that bring the modules in which these names are."""
    found: set[str] = set()
    for name in names:
        brought = {_canonical(each) for each in _packages().get(name.partition(".")[0], ())}
        found |= brought if len(brought) < 2 else {each for each in brought if _brings(each, name)} or brought
    return found - {_LOADER}


def _brings(name: str, dotted: str) -> bool:
    """Whether a distribution has the file of a module, for packages that several distributions share."""
    parts = dotted.split(".")
    known = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    module = next((sys.modules[each] for each in known if each in sys.modules), None)
    file = getattr(module, "__file__", None)
    return file is not None and any(Path(str(each.locate())) == Path(file) for each in distribution(name).files or ())


@functools.cache
def _packages() -> dict[str, list[str]]:
    """Which distributions bring a top-level package; reads the metadata of all that is installed."""
    return {package: list(names) for package, names in packages_distributions().items()}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _write(value: dict[str, Any], path: Path) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
