"""Artifacts in a local folder.

::

    blobs/, refs/    see :mod:`ratoon.artifacts.layout`
    incoming/        what is being written; never read

A blob is complete before a reference names it, and a reference is replaced by a rename: whoever reads sees the old
content or the new, never a part. Equal contents are kept once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

import msgspec

from ratoon.artifacts.collecting import collect_folder
from ratoon.artifacts.layout import (
    SUFFIX,
    Reference,
    blob_key,
    chunks_of,
    copy_hashed,
    corrupt,
    decode_reference,
    folder_key,
    reference_key,
    verified,
)
from ratoon.artifacts.protocol import Freed
from ratoon.disk import sync_folder
from ratoon.entities import Artifact
from ratoon.errors import NotFound, StoreError


class LocalArtifactStore:
    """A folder of blobs and references. See :class:`ratoon.artifacts.protocol.ArtifactStore` for each method."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, path: str, stream: BinaryIO) -> Artifact:
        """Store everything that the stream yields under a path; what was there before is replaced at once."""
        target = self._reference_file(path)
        with self._explained():
            reference = self._store_blob(stream)
            content = msgspec.json.encode(reference)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._place(target, lambda file: file.write(content))
        return Artifact(path=path, file_size=reference.file_size, digest=reference.digest)

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
                    name = unquote(entry.name.removesuffix(SUFFIX))
                    reference = decode_reference(name, entry.read_bytes())
                    found.append(Artifact(path=name, file_size=reference.file_size, digest=reference.digest))
        return sorted(found, key=lambda artifact: (artifact.path, artifact.is_dir))

    def delete(self, path: str) -> None:
        """Take a file or a folder away; not an error if it is not there. Blobs stay until they are collected."""
        with self._explained():
            self._reference_file(path).unlink(missing_ok=True)
            shutil.rmtree(self._folder(path), ignore_errors=True)

    def collect(self, grace: float, *, dry_run: bool = False) -> Freed:
        """Remove contents without a path, and debris of broken writes, that are older than ``grace`` seconds."""
        with self._explained():
            return collect_folder(self._root, grace, dry_run=dry_run)

    def _store_blob(self, stream: BinaryIO) -> Reference:
        found: list[Reference] = []
        self._place(
            lambda: self._root / blob_key(found[0].digest), lambda file: found.append(copy_hashed(stream, file))
        )
        return found[0]

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
            sync_folder(final.parent)
        finally:
            draft.unlink(missing_ok=True)

    def _verified(self, path: str, reference: Reference) -> Iterator[bytes]:
        with self._explained():
            try:
                with open(self._root / blob_key(reference.digest), "rb") as file:
                    yield from verified(path, chunks_of(file), reference.digest)
            except FileNotFoundError as error:
                raise corrupt(path, "its content is gone") from error

    def _reference(self, path: str) -> Reference:
        with self._explained():
            try:
                return decode_reference(path, self._reference_file(path).read_bytes())
            except (FileNotFoundError, NotADirectoryError) as error:
                raise NotFound(f"artifact '{path}' does not exist; list what is there before you read it") from error

    def _reference_file(self, path: str) -> Path:
        return self._root / reference_key(path)

    def _folder(self, path: str) -> Path:
        return self._root / folder_key(path)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"artifact store '{self._root}' failed ({error.strerror or error}); check its owner and the free space"
            ) from error
