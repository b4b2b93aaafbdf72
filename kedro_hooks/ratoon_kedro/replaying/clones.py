"""A clean copy of a project as it was at a commit, beside the working tree and never in its way."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from ratoon.errors import InvalidInput, NotFound

DATA = "data"


class Repository(Struct, frozen=True):
    """A git repository and the project in it.

    Attributes:
        root: Its folder.
        prefix: Where the project lies in it.
    """

    root: Path
    prefix: Path


def repository_of(project: Path) -> Repository:
    """The repository that a project is in; NotFound if it is in none."""
    done = _git(project, "rev-parse", "--show-toplevel", "--show-prefix")
    if done.returncode:
        raise NotFound(f"project '{project}' is in no git repository; use --here to run in the folder as it is")
    root, prefix = (done.stdout.decode().splitlines() + ["", ""])[:2]
    return Repository(Path(root), Path(prefix))


def check_commit(repository: Repository, commit: str) -> None:
    """NotFound if the repository does not hold a commit."""
    if _git(repository.root, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise NotFound(
            f"commit '{commit}' is not in the repository '{repository.root}' (another clone made the run, or it was"
            " removed); fetch it with 'git fetch --all', or use --here to run the code as it is now"
        )


def clone_commands(repository: Repository, commit: str, folder: Path) -> list[list[str]]:
    """The commands that leave the repository's files at a commit in a folder."""
    return [
        ["git", "clone", "--quiet", "--no-checkout", str(repository.root), str(folder)],
        ["git", "-C", str(folder), "checkout", "--quiet", "--detach", commit],
    ]


def clone(repository: Repository, commit: str, folder: Path) -> Path:
    """Leave the repository's files at a commit in an empty folder; returns where the project is in it."""
    if folder.exists() and any(folder.iterdir()):
        raise InvalidInput(f"folder '{folder}' is not empty; give --into a new one")
    for command in clone_commands(repository, commit, folder):
        done = subprocess.run(command, capture_output=True)
        if done.returncode:
            raise NotFound(
                f"commit '{commit}' cannot be checked out ({_last_line(done.stderr)}); see to the repository"
            )
    return folder / repository.prefix


def apply_patch(folder: Path, patch: bytes) -> None:
    """Change the files of a clone as they were changed when the run was made."""
    if not patch:
        return
    done = _git(folder, "apply", "--binary", "--whitespace=nowarn", "-", given=patch)
    if done.returncode:
        raise InvalidInput(
            f"patch of the run does not apply to its commit ({_last_line(done.stderr)}); use --here to run the code as"
            " it is now"
        )


def bring_configuration(conf: Path, target: Path) -> list[Path]:
    """Link what is configured on this machine only into a clone: ``local`` and credentials; returns what was linked.

    Linked, so that no secret lies in a second place when the clone is kept.
    """
    brought = []
    for source in _local_files(conf):
        place = target / source.relative_to(conf)
        if place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source)
        brought.append(place)
    return brought


def bring_data(project: Path, target: Path, how: str) -> None:
    """Give a clone the project's data.

    Args:
        project: The project.
        target: The project in the clone.
        how: ``copy`` for files of its own, ``link`` for the very files (which it writes to, then), ``none``.

    Raises:
        InvalidInput: They cannot be copied or linked.
    """
    source, place = project / DATA, target / DATA
    if how == "none" or not source.is_dir():
        return
    try:
        if how == "copy":
            # What a link leads to is copied, too: the clone must not write into what belongs to the project.
            shutil.copytree(source, place, dirs_exist_ok=True, copy_function=_copy_new)
            return
        if place.is_dir():
            shutil.rmtree(place)
        place.symlink_to(source, target_is_directory=True)
    except OSError as error:
        raise InvalidInput(
            f"data '{source}' cannot be brought into the clone ({_first_cause(error)}); correct that, or give --data"
            " none"
        ) from error


def _first_cause(error: OSError) -> str:
    """The first of the many things that an error of ``copytree`` lists."""
    found = error.args[0] if isinstance(error, shutil.Error) and error.args else None
    return str(found[0][-1]) if isinstance(found, list) and found else str(error)


def _copy_new(source: str, target: str) -> str:
    """Copy a file unless the commit has it, or it is a link that leads nowhere."""
    return target if os.path.exists(target) or not os.path.exists(source) else shutil.copy2(source, target)


def _local_files(conf: Path) -> Iterator[Path]:
    for path in sorted(conf.rglob("*")):
        parts = path.relative_to(conf).parts
        if path.is_file() and (parts[0] == "local" or "credentials" in path.name):
            yield path.resolve() if path.is_symlink() else path


def _git(folder: Path, *arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command: Sequence[str] = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, input=given, capture_output=True)
    except FileNotFoundError as error:
        raise NotFound("program 'git' is not installed; install it, or use --here") from error


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "git says nothing"
