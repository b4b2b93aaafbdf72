"""What a folder with a Spark model would make Spark do, told from its files before Spark sees them.

Spark makes an object of each class that a ``metadata`` file names, in the JVM or in Python, which imports a module for
it. Spark's own stages are data, with the exception of one that runs SQL. Columns of Parquet files may be of types that
are made of a pickle. Nothing of Spark is imported here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt

_BUILTIN = re.compile(r"(org\.apache\.spark|pyspark)\.ml\.[A-Za-z_.]+")
# Its statement may call any static method of the JVM.
_RUNS_SQL = frozenset({"org.apache.spark.ml.feature.SQLTransformer", "pyspark.ml.feature.SQLTransformer"})
_UID = re.compile(r"[\w-]+")
_VECTOR = re.compile(r"(org\.apache\.spark|pyspark)\.ml\.linalg\.(VectorUDT|MatrixUDT)")
# Under this key of a Parquet file Spark keeps the types of its columns, as JSON.
_SCHEMA_KEY = b"org.apache.spark.sql.parquet.row.metadata"
_MAX_BYTES = 64 * 1024 * 1024


def foreign_classes(folder: Path) -> dict[Path, set[str]]:
    """The classes that loading would make an object of and that are not Spark's harmless ones, by file.

    Raises:
        Corrupt: A file is none that Spark writes, or leads out of the folder.
    """
    if not (folder / "metadata").exists():
        raise Corrupt(f"folder '{folder}' holds no Spark model (it has no 'metadata'); fetch or save the model again")
    found = {path: _foreign_in_metadata(path) for path in _metadata_files(folder)}
    # Spark reads Parquet files by any name.
    found |= {
        path: _types_in_parquet(path) for path in sorted(folder.rglob("*")) if path.is_file() and path not in found
    }
    return {path: names for path, names in found.items() if names}


def _foreign_in_metadata(path: Path) -> set[str]:
    found = set()
    for entry in _entries(path):
        name = entry.get("class")
        if not isinstance(name, str):
            raise _corrupt(path, "it names no class")
        if not _BUILTIN.fullmatch(name) or name in _RUNS_SQL:
            found.add(name)
        _check_uids(path, entry)
    return found


def _metadata_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("metadata")):
        if path.is_file():
            yield path
        else:
            # Spark skips the names that begin so.
            yield from (each for each in sorted(path.rglob("*")) if each.is_file() and each.name[0] not in "._")


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    if path.stat().st_size > _MAX_BYTES:
        raise _corrupt(path, f"it has more than {_MAX_BYTES:,} bytes")
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line, object_pairs_hook=_no_key_twice)
            if not isinstance(entry, dict):
                raise ValueError("no JSON object")
            yield entry
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, str(error)) from error


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Java and Python disagree about which of two equal keys counts."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _check_uids(path: Path, entry: dict[str, Any]) -> None:
    """Spark makes folder names of them."""
    params = entry.get("paramMap")
    uids = [entry.get("uid"), *(params.get("stageUids", []) if isinstance(params, dict) else [])]
    if not all(isinstance(uid, str) and _UID.fullmatch(uid) for uid in uids):
        raise _corrupt(path, "it has a uid that Spark does not make")


def _types_in_parquet(path: Path) -> set[str]:
    """The types of columns that are none of Spark's vectors; empty for a file that is not Parquet."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        length, magic = int.from_bytes(file.read(4), "little"), file.read(4)
        if magic != b"PAR1":
            return set()
        if length > min(size - 8, _MAX_BYTES):
            raise _corrupt(path, "its footer is longer than the file")
        file.seek(size - 8 - length)
        footer = file.read(length)
    return {name for start in re.finditer(_SCHEMA_KEY, footer) for name in _types(path, footer[start.end() :])}


def _types(path: Path, rest: bytes) -> Iterator[str]:
    """The classes of user-defined types in the schema with which ``rest`` begins, in Thrift's compact protocol."""
    length, position = 0, 1
    for shift in range(0, 35, 7):
        byte = rest[position] if position < len(rest) else 0
        length |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            break
    try:
        waiting: list[Any] = [json.loads(rest[position : position + length], object_pairs_hook=_no_key_twice)]
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, f"the types of its columns cannot be read: {error}") from error
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, dict):
            waiting.extend(thing.values())
            names = {str(thing[key]) for key in ("class", "pyClass") if thing.get(key)}
            yield from (name for name in names if not _VECTOR.fullmatch(name))
            yield from (f"a pickle in {path.name}" for key in thing if key == "serializedClass")
        elif isinstance(thing, list):
            waiting.extend(thing)


def _corrupt(path: Path, cause: str) -> Corrupt:
    return Corrupt(f"file '{path}' is none that Spark wrote ({cause}); do not load it, fetch or save the model again")
