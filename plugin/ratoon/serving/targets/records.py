"""What the local target remembers: one JSON file a deployment, private to its user.

A record is written beside the old one and renamed over it, so that a reader sees one or the other whole.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from ratoon.errors import Corrupt, InvalidInput
from ratoon.serving.targets.process import ProcessId

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Record(Struct, frozen=True, kw_only=True):
    """A deployment as it was made, and the process that runs it."""

    name: str
    model_uri: str
    port: int
    process: ProcessId
    created_at: int
    log: str
    model_name: str | None = None
    model_version: int | None = None


class Records:
    """The records and logs below one folder, which is made on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> Record | None:
        """The record of that name, None if there is none."""
        return self._read(self._path(name))

    def all(self) -> list[Record]:
        """Every record, by name."""
        records = (self._read(path) for path in sorted(self._folder.glob("*.json")))
        return [record for record in records if record is not None]

    def put(self, record: Record) -> None:
        """Write a record in place of the one of its name; it is durable when this returns."""
        path = self._path(record.name)
        descriptor, temporary = tempfile.mkstemp(prefix=".", dir=self._folder)  # made with mode 0600
        try:
            with open(descriptor, "wb") as file:
                file.write(msgspec.json.encode(record))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    def remove(self, name: str) -> None:
        """Forget a record; its log stays."""
        self._path(name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Keep other processes from changing the deployment of that name meanwhile; they wait."""
        import fcntl

        with self._open(f"{check_name(name)}.lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def open_log(self, name: str) -> BinaryIO:
        """The log of all processes that run under a name, open for appending."""
        return self._open(f"{check_name(name)}.log")

    def _open(self, file_name: str) -> BinaryIO:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)

        def private(path: str, flags: int) -> int:
            return os.open(path, flags, mode=0o600)

        return open(self._folder / file_name, "ab", opener=private)

    def _path(self, name: str) -> Path:
        return self._folder / f"{check_name(name)}.json"

    def _read(self, path: Path) -> Record | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise Corrupt(
                f"deployment record '{path}' cannot be read ({error}); stop its process and remove it"
            ) from error


def check_name(name: str) -> str:
    """The name, if it may be a file's.

    Raises:
        InvalidInput: It may not.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"deployment name {name!r} is not allowed; use up to 64 letters, digits, '.', '_' and '-', "
            "beginning with a letter or a digit"
        )
    return name
