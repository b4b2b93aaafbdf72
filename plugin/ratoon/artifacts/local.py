"""Artifacts in a local folder.

::

    blobs/ab/cd/<SHA-256 in hex>    the content, written once, never changed
    refs/<path>                     {"digest", "file_size"}: what a path stands for now
    incoming/                       what is being written; never read

A blob is complete before a reference names it, and a reference is replaced by a rename: whoever reads sees the old
content or the new, never a part. Equal contents are kept once. Names in ``refs`` are escaped, so that no path of a
client is a path of the disk.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

import msgspec

from ratoon.artifacts.paths import check_path
from ratoon.entities import Artifact
from ratoon.errors import Corrupt, InvalidInput, NotFound, StoreError

CHUNK = 1024 * 1024
# What every common file system takes, less our suffix.
MAX_NAME = 255 - 4

_SUFFIX = ".ref"
# What a name on disk must not hold: the escape itself, what some file system refuses, a dot at either end or before our
# own suffix.
_SPECIAL = re.compile(r'[%\x00-\x1f\x7f/\\:*?"<>|]|^\.|\.$|\.(?=ref$)')


class _Reference(msgspec.Struct, frozen=True):
    digest: str
    file_size: int


class LocalArtifactStore:
    """A folder of blobs and references. See :class:`ratoon.artifacts.protocol.ArtifactStore` for each method."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, stream: BinaryIO) -> Artifact:
        """Store everything that the stream yields under a path; what was there before is replaced at once."""
        target = self._reference_file(path)
        with self._explained():
            digest, size = self._store_blob(stream)
            content = msgspec.json.encode(_Reference(digest, size))
            target.parent.mkdir(parents=True, exist_ok=True)
            self._place(target, lambda file: file.write(content))
        return Artifact(path=path, file_size=size, digest=digest)

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the content in chunks; Corrupt instead of the last one if it is not what was written."""
        reference = self._reference(path)
        return self._verified(path, reference)

    def stat(self, path: str) -> Artifact:
        """Size and digest of a file; NotFound if there is none."""
        reference = self._reference(path)
        return Artifact(path=path, file_size=reference.file_size, digest=reference.digest)

    def list(self, path: str = "") -> list[Artifact]:
        """What lies directly in a folder, by name, with paths relative to it; nothing for one that is not there."""
        folder = self._folder(path)
        found = []
        with self._explained():
            for entry in folder.iterdir() if folder.is_dir() else ():
                if entry.is_dir():
                    found.append(Artifact(path=unquote(entry.name), is_dir=True))
                else:
                    name = unquote(entry.name.removesuffix(_SUFFIX))
                    reference = self._decode(name, entry.read_bytes())
                    found.append(Artifact(path=name, file_size=reference.file_size, digest=reference.digest))
        return sorted(found, key=lambda artifact: (artifact.path, artifact.is_dir))

    def delete(self, path: str) -> None:
        """Take a file or a folder away; not an error if it is not there. Blobs stay until they are collected."""
        with self._explained():
            self._reference_file(path).unlink(missing_ok=True)
            shutil.rmtree(self._folder(path), ignore_errors=True)

    def _store_blob(self, stream: BinaryIO) -> tuple[str, int]:
        hasher, size = hashlib.sha256(), 0

        def copy(file: BinaryIO) -> None:
            nonlocal size
            while chunk := stream.read(CHUNK):
                hasher.update(chunk)
                size += len(chunk)
                file.write(chunk)

        self._place(lambda: self._blob(hasher.hexdigest()), copy)
        return hasher.hexdigest(), size

    def _place(self, target: Path | Callable[[], Path], fill: Callable[[BinaryIO], object]) -> None:
        """Fill a new file and give it its name only when all of it is on the disk."""
        incoming = self._root / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        draft = incoming / os.urandom(16).hex()
        try:
            with open(draft, "xb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            final = target if isinstance(target, Path) else target()
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(draft, final)
            _sync_folder(final.parent)
        finally:
            draft.unlink(missing_ok=True)

    def _verified(self, path: str, reference: _Reference) -> Iterator[bytes]:
        hasher, held = hashlib.sha256(), b""
        with self._explained():
            try:
                with open(self._blob(reference.digest), "rb") as file:
                    while chunk := file.read(CHUNK):
                        hasher.update(chunk)
                        if held:
                            yield held
                        held = chunk
            except FileNotFoundError as error:
                raise _corrupt(path, "its content is gone") from error
        if hasher.hexdigest() != reference.digest:
            raise _corrupt(path, "its content differs from its digest")
        if held:
            yield held

    def _reference(self, path: str) -> _Reference:
        with self._explained():
            try:
                return self._decode(path, self._reference_file(path).read_bytes())
            except (FileNotFoundError, NotADirectoryError) as error:
                raise NotFound(f"artifact '{path}' does not exist; list what is there before you read it") from error

    def _decode(self, path: str, content: bytes) -> _Reference:
        try:
            return msgspec.json.decode(content, type=_Reference)
        except msgspec.DecodeError as error:
            raise _corrupt(path, "its reference cannot be read") from error

    def _blob(self, digest: str) -> Path:
        return self._root / "blobs" / digest[:2] / digest[2:4] / digest

    def _reference_file(self, path: str) -> Path:
        folder = self._folder(check_path(path))
        # The suffix keeps a file and a folder of the same name apart: both may be logged.
        return folder.with_name(folder.name + _SUFFIX)

    def _folder(self, path: str) -> Path:
        segments = check_path(path).split("/") if path else ()
        return self._root.joinpath("refs", *(_escape(segment) for segment in segments))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"artifact store '{self._root}' failed ({error.strerror or error}); check its owner and the free space"
            ) from error


def _escape(segment: str) -> str:
    """A file name for a part of a path, that :func:`urllib.parse.unquote` turns back."""
    escaped = _SPECIAL.sub(lambda found: f"%{ord(found.group()):02X}", segment)
    if len(escaped.encode()) > MAX_NAME:
        raise InvalidInput(
            f"artifact name {segment[:80]!r} is not allowed (with its special characters escaped it is too long for a"
            " file name); shorten it"
        )
    return escaped


def _corrupt(path: str, cause: str) -> Corrupt:
    return Corrupt(f"artifact '{path}' is corrupt ({cause}); log it again, or restore the store from a backup")


def _sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
