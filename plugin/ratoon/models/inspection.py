"""What loading a model would run: its flavors, its files, the trust that they need and why. Nothing is loaded.

A damaged or hostile folder is described, too, as far as that goes: what is wrong with it is among the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pluggy
from msgspec import Struct

from ratoon.errors import Corrupt, RatoonError
from ratoon.models.digests import file_states
from ratoon.models.flavor import Flavor
from ratoon.models.flavors import GENERIC, registered_flavors
from ratoon.models.mlmodel import FILE_NAME, ModelInfo, read_mlmodel
from ratoon.models.needs import Need, ShowsNeeds, need_of
from ratoon.models.requirements import CONDA_FILE, PYTHON_ENV_FILE, REQUIREMENTS_FILE
from ratoon.models.trust import TrustLevel

_LEVELS = (TrustLevel.DATA, TrustLevel.TYPES, TrustLevel.CODE)
_DESCRIPTIONS = (FILE_NAME, REQUIREMENTS_FILE, CONDA_FILE, PYTHON_ENV_FILE)


class InspectedFile(Struct, frozen=True, kw_only=True):
    """A file, what became of it since it was saved, and what a load does with it.

    Attributes:
        state: ``verified``, ``changed``, ``added``, ``missing`` or ``unknown``.
        size: In bytes; None for one that is missing.
        need: What a load does with it; None for one that is missing.
    """

    path: str
    state: str
    size: int | None
    need: Need | None


class Inspection(Struct, frozen=True, kw_only=True):
    """What is known of a model without loading it.

    Attributes:
        made_by: The program that saved it, with its version.
        flavors: The flavors that it names.
        loaded_by: The one that would load it here; None if none is installed.
        level: How far who made it must be trusted.
        trust: What to give as ``trust``: None, ``"code"``, or names of types.
        verified: Whether every file is what was saved.
        problems: Why it would be refused, whatever is trusted.
        files: What it consists of.
        requirements: The lines of its ``requirements.txt``.
    """

    made_by: str
    flavors: tuple[str, ...]
    loaded_by: str | None
    level: TrustLevel
    trust: str | tuple[str, ...] | None
    verified: bool
    problems: tuple[str, ...]
    files: tuple[InspectedFile, ...]
    requirements: tuple[str, ...]


def inspect_folder(folder: Path, *, manager: pluggy.PluginManager) -> Inspection:
    """Look through a model's folder.

    Raises:
        InvalidInput: It has no MLmodel file, so it is no model.
        Corrupt: It has a symlink, or its MLmodel file or digests cannot be read: nothing more can be told.
    """
    info, states = read_mlmodel(folder), file_states(folder)
    flavors = registered_flavors(manager)
    name = next((name for name in _in_order(info) if name in flavors), None)
    special, problems = ({}, []) if name is None else _special(flavors[name], folder, info.flavors[name])
    files = tuple(_inspected(folder, path, state, special) for path, state in states.items())
    level, trust = _trust([file.need for file in files if file.need is not None])
    return Inspection(
        made_by=_made_by(info),
        flavors=tuple(info.flavors),
        loaded_by=name,
        level=level,
        trust=trust,
        verified=set(states.values()) == {"verified"},
        problems=(*_problems(info, states, name), *problems),
        files=files,
        requirements=_requirements(folder),
    )


def _in_order(info: ModelInfo) -> list[str]:
    return sorted(info.flavors, key=lambda name: name == GENERIC)


def _special(flavor: Flavor, folder: Path, config: Mapping[str, Any]) -> tuple[dict[str, Need], list[str]]:
    """What the flavor itself says about files, and why it would refuse them."""
    if not isinstance(flavor, ShowsNeeds):
        return {}, []
    try:
        return {need.file: need for need in flavor.needs(folder, config)}, []
    except RatoonError as error:
        return {}, [str(error)]


def _inspected(folder: Path, path: str, state: str, special: Mapping[str, Need]) -> InspectedFile:
    if state == "missing":
        return InspectedFile(path=path, state=state, size=None, need=None)
    if path in _DESCRIPTIONS or path.endswith("input_example.json"):
        need = Need(file=path, format="description")
    else:
        need = special.get(path) or need_of(folder, path)
    return InspectedFile(path=path, state=state, size=(folder / path).stat().st_size, need=need)


def _trust(needs: list[Need]) -> tuple[TrustLevel, str | tuple[str, ...] | None]:
    level = max((need.level for need in needs), key=_LEVELS.index, default=TrustLevel.DATA)
    if level is TrustLevel.CODE:
        return level, "code"
    names = sorted({name for need in needs if need.level is TrustLevel.TYPES for name in need.names})
    return level, tuple(names) or None


def _problems(info: ModelInfo, states: Mapping[str, str], name: str | None) -> list[str]:
    found = [f"file '{path}' {_SAID[state]}" for path, state in states.items() if state in _SAID]
    if info.ratoon is not None and "unknown" in states.values():
        found.append("file 'digests.json' is missing, so nothing can be verified")
    if name is None:
        found.append(f"none of its flavors ({', '.join(info.flavors) or 'none'}) is known here")
    return found


_SAID = {
    "changed": "was changed after the model was saved",
    "added": "was added after the model was saved",
    "missing": "is missing",
}


def _made_by(info: ModelInfo) -> str:
    if info.ratoon is not None:
        return f"ratoon {info.ratoon.get('version')}"
    return f"mlflow {info.extra.get('mlflow_version', 'of unknown version')}"


def _requirements(folder: Path) -> tuple[str, ...]:
    path = folder / REQUIREMENTS_FILE
    try:
        return tuple(line for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except FileNotFoundError:
        return ()
    except UnicodeDecodeError as error:
        raise Corrupt(f"file '{path}' is damaged (not UTF-8); fetch or save the model again") from error
