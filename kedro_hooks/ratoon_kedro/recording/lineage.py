"""Datasets as a run saw them: where they lie, which version, what is in them, and a digest.

The digest costs no reading unless that is asked for. That of a file is taken from its path, size and time of change,
that of a folder from those of its files, that of a versioned dataset from its path and version, and that of a table in
a database from its name and what can be seen of it. Of what exists in memory only, tables and arrays are recorded
when a node has made them, by what can be seen of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from ratoon.entities import Dataset
from ratoon_kedro.recording.params import without_userinfo
from ratoon_kedro.recording.profile import profile_of, text_of
from ratoon_kedro.recording.schema import schema_of
from ratoon_kedro.recording.stored_files import (
    behind,
    digest_of_files,
    files_of,
    lives_in_memory,
    path_of,
    root_of,
    state_of,
    version_of,
)

IN_MEMORY = "kedro.io.memory_dataset.MemoryDataset"


class Wanted(Struct, frozen=True, kw_only=True):
    """How much is found out about a dataset.

    Attributes:
        name: What it is called in the run; its own name if None.
        content: Whether the digest is one of the content.
        profile: Whether there are figures about its columns.
        hides: Tells the columns of which nothing may be told.
    """

    name: str | None = None
    content: bool = False
    profile: bool = True
    hides: Callable[[str], bool] = lambda column: False


_CHEAP = Wanted()


def describe_dataset(catalog: Any, name: str, data: object, *, saved: bool, wanted: Wanted = _CHEAP) -> Dataset | None:
    """What is worth knowing about a dataset that was just loaded or saved.

    Args:
        catalog: Kedro's catalog.
        name: The name of the dataset in it.
        data: What was loaded or saved; None for one chunk of many.
        saved: Whether it was saved.
        wanted: How much is found out.

    Returns:
        None if it lives in memory only and is no table or array, or was not made in this run.
    """
    stored = behind(catalog.get(name))
    ephemeral = lives_in_memory(stored)
    if stored is None or (ephemeral and not saved):
        return None
    schema, profile = schema_of(data), profile_of(data, wanted.hides, figures=wanted.profile)
    if "PartitionedDataset" in type(stored).__name__ and isinstance(data, Mapping):
        profile = {"partitions": len(data)}
    source: dict[str, Any]
    if ephemeral:
        if profile is None:
            return None
        source = {"type": IN_MEMORY}
        digest = (wanted.content and digest_of_value(data)) or _short([base_name(name), schema, profile])
    else:
        version = version_of(stored, saved=saved)
        source = {"type": _kind(stored), "path": _shown(stored, version), "version": version}
        content = _content(stored, version, data) if wanted.content else None
        digest = content or _digest(stored, source["path"], version, [schema, profile])
    return Dataset(
        name=wanted.name or base_name(name),
        digest=digest,
        source_type="kedro",
        source=json.dumps({key: value for key, value in source.items() if value}),
        schema=schema,
        profile=text_of(profile),
    )


def base_name(name: str) -> str:
    """The name without the suffix that tells Kedro how to read it: ``table@spark`` is ``table``."""
    return name.partition("@")[0]


def digest_of_value(data: Any) -> str | None:
    """A digest of everything that a value holds; None for a value of which nobody knows what that is."""
    if isinstance(data, (str, bytes)):
        return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:32]
    if schema_of(data) is not None and hasattr(data, "__len__"):
        import numpy as np

        from ratoon.evaluation.describing import content_digest
        from ratoon.models.foreign import native

        return content_digest(native(data), np.empty(0))
    if isinstance(data, (Mapping, list, tuple, int, float)):
        try:
            return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]
        except (TypeError, ValueError):
            return None
    return None


def _kind(stored: object) -> str:
    return f"{type(stored).__module__}.{type(stored).__qualname__}"


def _shown(stored: Any, version: str | None) -> str:
    path = path_of(stored, version)
    protocol = getattr(stored, "_protocol", None) or "file"
    return without_userinfo(path if protocol == "file" or "://" in path else f"{protocol}://{path}")


def _content(stored: Any, version: str | None, data: object) -> str | None:
    files = files_of(stored, version)
    return digest_of_files(files)[:32] if files is not None else digest_of_value(data)


def _digest(stored: Any, path: str, version: str | None, seen: list[object]) -> str:
    """A digest that costs no reading; ``seen`` stands in where no filesystem tells of changes."""
    parts: list[object] = [path, version]
    if version is None:
        place = root_of(stored, version)
        parts += seen if place is None else state_of(*place)
    return _short(parts)


def _short(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:32]
