"""Datasets as a run saw them: where they lie, which version, and a digest that costs no reading.

The digest of a file is taken from its path, size and time of change, that of a versioned dataset from its path and
version. What exists in memory only is no dataset of the run; the pipeline's graph shows it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ratoon.entities import Dataset
from ratoon_kedro.params import without_userinfo

_KINDS = {"b": "boolean", "i": "long", "u": "long", "f": "double", "M": "datetime", "S": "binary"}


def describe_dataset(catalog: Any, name: str, data: object, *, saved: bool) -> Dataset | None:
    """What is worth knowing about a dataset that was just loaded or saved; None if it lives in memory only."""
    stored = catalog.get(name)
    stored = getattr(stored, "_dataset", stored)  # a CachedDataset is a thin wrapper around the real one
    if stored is None or getattr(stored, "_EPHEMERAL", False):
        return None
    kind = f"{type(stored).__module__}.{type(stored).__qualname__}"
    version = _version(stored, saved=saved)
    path = _path(stored, version)
    source = {"type": kind, "path": path, "version": version}
    return Dataset(
        name=base_name(name),
        digest=_digest(stored, path, version),
        source_type="kedro",
        source=json.dumps({key: value for key, value in source.items() if value}),
        schema=_schema(data),
        profile=_profile(data),
    )


def base_name(name: str) -> str:
    """The name without the suffix that tells Kedro how to read it: ``table@spark`` is ``table``."""
    return name.partition("@")[0]


def _version(stored: Any, *, saved: bool) -> str | None:
    resolve = getattr(stored, "resolve_save_version" if saved else "resolve_load_version", None)
    version = resolve() if resolve else None
    return str(version) if version else None


def _path(stored: Any, version: str | None) -> str:
    if version and hasattr(stored, "_get_versioned_path"):
        path = str(stored._get_versioned_path(version))
    else:
        described = stored._describe()
        known = (described.get(key) for key in ("filepath", "path", "table_name", "sql"))
        path = str(getattr(stored, "_filepath", None) or next(filter(None, known), ""))
    protocol = getattr(stored, "_protocol", None) or "file"
    return without_userinfo(path if protocol == "file" or "://" in path else f"{protocol}://{path}")


def _digest(stored: Any, path: str, version: str | None) -> str:
    parts: list[object] = [path, version]
    if version is None:
        parts += _state_of_file(stored)
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:32]


def _state_of_file(stored: Any) -> list[object]:
    filesystem, path = getattr(stored, "_fs", None), getattr(stored, "_filepath", None)
    if filesystem is None or path is None:
        return []
    try:
        info = filesystem.info(str(path))
    except Exception:  # each filesystem has errors of its own; a digest by name is better than none
        return []
    keys = ("size", "mtime", "etag", "ETag", "md5Hash", "last_modified", "LastModified", "updated")
    return [info[key] for key in keys if key in info]


def _profile(data: object) -> str | None:
    shape = getattr(data, "shape", None)
    if not isinstance(shape, tuple) or not shape or not all(isinstance(size, int) for size in shape):
        return None
    profile: dict[str, object] = {"num_rows": shape[0]}
    if hasattr(data, "columns") and len(shape) == 2:
        profile["num_columns"] = shape[1]
    else:
        profile |= {"shape": shape, "dtype": str(getattr(data, "dtype", "unknown"))}
    return json.dumps(profile)


def _schema(data: object) -> str | None:
    """Columns and their types in MLflow's words; None for anything but a table."""
    columns, dtypes = getattr(data, "columns", None), getattr(data, "dtypes", None)
    if columns is None or dtypes is None or len(columns) != len(dtypes):
        return None
    specs = [
        {"name": str(name), "type": _KINDS.get(getattr(dtype, "kind", ""), "string")}
        for name, dtype in zip(columns, dtypes, strict=True)
    ]
    return json.dumps({"mlflow_colspec": specs})
