"""The files behind a dataset of Kedro's catalog, on whatever filesystem they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

_PIECE = 1024 * 1024
MOST_ENTRIES = 10_000  # of a folder, which its state is told by
_STATE = ("size", "mtime", "etag", "ETag", "md5Hash", "last_modified", "LastModified", "updated")


class Files(NamedTuple):
    """The files of a dataset: one, or everything in a folder.

    ``names`` are relative to the folder, or the file's own name; ``paths`` are what the filesystem calls them.
    """

    filesystem: Any
    names: list[str]
    paths: list[str]


def behind(stored: Any) -> Any:
    """The dataset itself, where the catalog holds a thin wrapper around it: a cache."""
    return getattr(stored, "_dataset", stored)


def lives_in_memory(stored: Any) -> bool:
    """Whether what the dataset holds is gone when the run has ended; so is what the catalog does not know."""
    return stored is None or bool(getattr(behind(stored), "_EPHEMERAL", False))


def version_of(stored: Any, *, saved: bool) -> str | None:
    """The version that was just saved or loaded; None if the dataset has none."""
    resolve = getattr(stored, "resolve_save_version" if saved else "resolve_load_version", None)
    version = resolve() if resolve else None
    return str(version) if version else None


def path_of(stored: Any, version: str | None) -> str:
    """Where the dataset lies, as its filesystem calls it; empty if nobody knows."""
    if version and hasattr(stored, "_get_versioned_path"):
        return str(stored._get_versioned_path(version))
    if known := getattr(stored, "_filepath", None):
        return str(known)
    described = stored._describe()
    return str(next(filter(None, (described.get(key) for key in ("filepath", "path", "table_name", "sql"))), ""))


def filesystem_of(stored: Any) -> Any:
    """The filesystem that the dataset reads and writes with; None if it has none."""
    return getattr(stored, "_fs", None) or getattr(stored, "_filesystem", None)


def root_of(stored: Any, version: str | None) -> tuple[Any, str] | None:
    """The filesystem and the file or folder in it; None for a table of a database, for example."""
    path, filesystem = path_of(stored, version), filesystem_of(stored)
    if filesystem is None:
        # A path on this machine, unless what describes the dataset is the name of a table.
        if "://" in path or not (hasattr(stored, "_filepath") or Path(path).is_absolute()):
            return None
        import fsspec

        filesystem = fsspec.filesystem("file")
    if not path:
        return None
    return filesystem, str(filesystem._strip_protocol(path)).rstrip("/")


def state_of(filesystem: Any, root: str) -> list[object]:
    """What tells without reading whether a file, or the files in a folder, were written again; empty if nothing does.

    Of a folder with very many files only the first ones by name are looked at, and how many there are.
    """
    try:
        info = filesystem.info(root)
        if info.get("type") != "directory":
            return _state(info)
        found = filesystem.find(root, detail=True)
    except Exception:  # each filesystem has errors of its own; a digest by name is better than none
        return []
    names = sorted(found)
    return [len(names), *([name[len(root) :], *_state(found[name])] for name in names[:MOST_ENTRIES])]


def _state(info: Mapping[str, Any]) -> list[object]:
    return [info[key] for key in _STATE if key in info]


def files_of(stored: Any, version: str | None) -> Files | None:
    """The files of a dataset; None if there are none, because it is a table of a database, for example."""
    place = root_of(stored, version)
    if place is None:
        return None
    filesystem, root = place
    if filesystem.isfile(root):
        return Files(filesystem, [root.rpartition("/")[2]], [root])
    found = sorted(str(each) for each in filesystem.find(root))
    if not found:
        return None
    return Files(filesystem, [each[len(root) :].lstrip("/") for each in found], found)


def digest_of_files(files: Files) -> str:
    """A digest of every byte, and of the names where there are several files."""
    digests = [_digest_of_file(files.filesystem, path) for path in files.paths]
    if len(digests) == 1:
        return digests[0]
    whole = hashlib.sha256()
    for name, digest in zip(files.names, digests, strict=True):
        whole.update(f"{name}\0{digest}\n".encode())
    return whole.hexdigest()


def _digest_of_file(filesystem: Any, path: str) -> str:
    digest = hashlib.sha256()
    with filesystem.open(path, "rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
