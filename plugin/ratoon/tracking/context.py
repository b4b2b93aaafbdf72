"""What is recorded about the surroundings of a run without being asked: code, command, machine."""

from __future__ import annotations

import functools
import os
import platform
import re
import secrets
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_ADJECTIVES = (
    "amber brave bright calm crisp dewy early eager fresh gentle golden green hardy keen lively lush mellow mild"
    " nimble quiet rapid ripe robust rosy silver sturdy sunny sweet tall tender vivid warm wild young"
).split()
_PLANTS = (
    "acorn alder aloe apple aspen bamboo barley basil beech birch cane cedar clover elm fern fig ginger hazel ivy"
    " juniper larch lilac linden maple millet mint oak olive orchid pear pine plum poplar reed rice sage sorrel spruce"
    " thyme vine willow yarrow"
).split()


# Names of options whose values nobody should read in a run.
_SECRET = re.compile(r"passw|secret|token|credential|api[-_]?key|access[-_]?key", re.IGNORECASE)


def random_name() -> str:
    """A name that a person can say, for a run that was given none."""
    return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_PLANTS)}-{secrets.randbelow(1000)}"


def surroundings(user: str) -> dict[str, str]:
    """Tags of a new run: who started it, from which code, with which command and Python, on which machine."""
    tags = {
        "mlflow.user": user,
        "mlflow.source.name": sys.argv[0] or "<interactive>",
        "mlflow.source.type": "LOCAL",
        "ratoon.command": shlex.join(_without_secrets(sys.argv))[:8000],
        "ratoon.python": platform.python_version(),
        "ratoon.host": socket.gethostname(),
    }
    # An argument or a path that is no text holds surrogates, which no store takes.
    found = {**tags, **_known_git_state(Path.cwd())}
    return {key: value.encode(errors="replace").decode() for key, value in found.items()}


def _without_secrets(arguments: Sequence[str]) -> Iterator[str]:
    """A command line that may be shown: what follows a name such as ``--password`` or ``token=`` is left out."""
    hide = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        secret = bool(_SECRET.search(name))
        yield "…" if hide else f"{name}=…" if secret and equals else _without_secret_pairs(argument)
        hide = secret and not equals and argument.startswith("-")


def _without_secret_pairs(argument: str) -> str:
    """Of ``depth=3,db.password=x``, which is one argument, the second value is left out."""
    pairs = (pair.partition("=") for pair in argument.split(","))
    return ",".join(
        f"{name}=…" if equals and _SECRET.search(name) else name + equals + value for name, equals, value in pairs
    )


def git_state(folder: Path) -> dict[str, str]:
    """Commit, branch and whether the tree has changes, just now; empty outside a repository or without git."""
    # A git process costs more than everything else about a run: none is started where there is no repository.
    if "GIT_DIR" not in os.environ and not any((each / ".git").exists() for each in (folder, *folder.parents)):
        return {}
    status = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no")
    if status is None:
        return {}
    lines = status.splitlines()
    head = {key: value for _, key, value in (line.split(" ", 2) for line in lines if line.startswith("# branch."))}
    commit = head.get("branch.oid", "")
    if not commit or commit == "(initial)":
        return {}
    dirty = any(not line.startswith("#") for line in lines)
    return {
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": head.get("branch.head", ""),
        "ratoon.git.dirty": str(dirty).lower(),
    }


@functools.lru_cache(maxsize=16)
def _known_git_state(folder: Path) -> Mapping[str, str]:
    """The same as it was when this process first asked: a script does not change while it runs."""
    return git_state(folder)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=10, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None
