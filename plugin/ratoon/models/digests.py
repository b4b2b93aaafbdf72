"""``digests.json``: the SHA-256 of every file of a model folder, checked before anything in it is parsed.

Digests tell accidents and tampering with single files from what was saved. They do not tell who saved it: whoever can
replace the folder can replace the manifest, too. That is why a verified folder is still loaded under the trust policy.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ratoon.errors import Corrupt

MANIFEST = "digests.json"
FORMAT = 1
ALGORITHM = "sha256"
# MLflow's client puts it into every folder that it downloads; nothing ever reads it from there.
IGNORED = frozenset({MANIFEST, "registered_model_meta"})


class _Manifest(msgspec.Struct, frozen=True):
    format: int
    algorithm: str
    files: dict[str, str]


def write_manifest(folder: Path) -> None:
    """Write the digests of all files of the folder.

    Raises:
        Corrupt: The folder holds something that is neither a file nor a folder, such as a symlink.
    """
    files = {name: _digest(folder / name) for name in sorted(_files(folder)) if name != MANIFEST}
    content = msgspec.json.format(msgspec.json.encode(_Manifest(FORMAT, ALGORITHM, files)), indent=2)
    (folder / MANIFEST).write_bytes(content + b"\n")


def verify_manifest(folder: Path) -> bool:
    """Compare the folder with its manifest.

    Returns:
        True if every file is what was saved; False if there is no manifest, so that nothing is known. Symlinks are
        refused in both cases, for they lead out of what can be verified.

    Raises:
        Corrupt: A file is missing, was changed, was added or is no plain file; the message names it.
    """
    present = set(_files(folder))
    if MANIFEST not in present:
        return False
    digests = _read(folder / MANIFEST)
    for name in sorted(set(digests) - present):
        raise _corrupt(folder, name, "is missing")
    for name in sorted(present - set(digests) - IGNORED):
        raise _corrupt(folder, name, "was added after the model was saved")
    for name, digest in sorted(digests.items()):
        if _digest(folder / name) != digest:
            raise _corrupt(folder, name, "was changed after the model was saved")
    return True


def file_states(folder: Path) -> dict[str, str]:
    """What became of each file since the model was saved, by its path; for people, where loading only says yes or no.

    Returns:
        ``verified``, ``changed``, ``added``, ``missing``; ``unknown`` for all files of a folder without a manifest.

    Raises:
        Corrupt: The manifest cannot be read, or a file is a symlink.
    """
    present = set(_files(folder)) - IGNORED
    if not (folder / MANIFEST).is_file():
        return dict.fromkeys(sorted(present), "unknown")
    digests = _read(folder / MANIFEST)
    states = dict.fromkeys(sorted(present), "added") | dict.fromkeys(sorted(set(digests) - present), "missing")
    same = {name: _digest(folder / name) == digests[name] for name in present & digests.keys()}
    return states | {name: "verified" if equal else "changed" for name, equal in same.items()}


def _read(path: Path) -> dict[str, str]:
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"file '{path}' is damaged ({error}); fetch the model again") from error
    if (manifest.format, manifest.algorithm) != (FORMAT, ALGORITHM):
        raise Corrupt(
            f"file '{path}' has format {manifest.format} with {manifest.algorithm!r} "
            f"(known are {FORMAT} and {ALGORITHM!r}); update ratoon"
        )
    return manifest.files


def _files(folder: Path) -> Iterator[str]:
    """Paths of all files relative to the folder, with forward slashes."""
    for entry in _entries(folder):
        name = Path(entry.path).relative_to(folder).as_posix()
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            raise _corrupt(folder, name, "is a symlink or no plain file")
        if entry.is_file():
            yield name


def _entries(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, ALGORITHM).hexdigest()


def _corrupt(folder: Path, name: str, state: str) -> Corrupt:
    return Corrupt(f"file '{name}' of the model in '{folder}' {state}; do not load it, fetch or save the model again")
