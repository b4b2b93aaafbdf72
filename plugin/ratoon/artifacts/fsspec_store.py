"""Artifacts wherever fsspec reaches: ``s3:``, ``gs:``, ``abfs:``, ``memory:`` and others, laid out as on a disk.

A content is uploaded under the name of its digest, then the reference is put in place: both are single objects, which
object stores replace at once. A large content passes through a local temporary file, since its name is known only when
all of it was seen.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote

import msgspec

from ratoon.artifacts.layout import (
    CHUNK,
    SUFFIX,
    Reference,
    blob_key,
    copy_hashed,
    corrupt,
    decode_reference,
    folder_key,
    reference_key,
    verified,
)
from ratoon.entities import Artifact
from ratoon.errors import InvalidInput, MissingExtra, NotFound, RatoonError, StoreError
from ratoon.settings import without_password

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# The extra and the package behind each scheme that has one.
PACKAGES = {
    "s3": ("aws", "s3fs"),
    "s3a": ("aws", "s3fs"),
    "gs": ("gcs", "gcsfs"),
    "gcs": ("gcs", "gcsfs"),
    "abfs": ("azure", "adlfs"),
    "abfss": ("azure", "adlfs"),
    "az": ("azure", "adlfs"),
    "adl": ("azure", "adlfs"),
}
# Contents up to this size go in one request, from memory.
SMALL = 8 * CHUNK
# fsspec reads patterns in some of its paths.
_PATTERNS = str.maketrans({"[": "%5B", "]": "%5D", "{": "%7B", "}": "%7D"})


class FsspecArtifactStore:
    """Blobs and references below a URI. See :class:`ratoon.artifacts.protocol.ArtifactStore` for each method.

    Raises:
        MissingExtra: The package behind the scheme is not installed.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._shown = without_password(uri)
        self._opened: tuple[int, AbstractFileSystem, str] | None = None
        self._place("")

    def __repr__(self) -> str:
        return f"FsspecArtifactStore({self._shown!r})"

    def write(self, path: str, stream: BinaryIO) -> Artifact:
        """Store everything that the stream yields under a path; what was there before is replaced at once."""
        target = _key(reference_key(path))
        with tempfile.NamedTemporaryFile(prefix="ratoon-") as draft:
            reference = copy_hashed(stream, draft)
            draft.flush()
            draft.seek(0)
            with self._explained():
                self._upload(reference, draft)
                content = msgspec.json.encode(reference)
                self._put(target, lambda fs, key: fs.pipe_file(key, content))
        return Artifact(path=path, file_size=reference.file_size, digest=reference.digest)

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the content in chunks; Corrupt instead of the last one if it is not what was written."""
        return self._content(path, self._reference(path))

    def stat(self, path: str) -> Artifact:
        """Size and digest of a file; NotFound if there is none."""
        reference = self._reference(path)
        return Artifact(path=path, file_size=reference.file_size, digest=reference.digest)

    def list(self, path: str = "") -> list[Artifact]:
        """What lies directly in a folder, by name, with paths relative to it; nothing for one that is not there."""
        with self._explained():
            fs, folder = self._place(_key(folder_key(path)))
            entries = _entries(fs, folder)
            files = [each["name"] for each in entries if each["type"] == "file" and each["name"].endswith(SUFFIX)]
            contents: dict[str, Any] = fs.cat(files, on_error="omit") if files else {}
        found = [Artifact(path=_name(each["name"]), is_dir=True) for each in entries if each["type"] == "directory"]
        for key, content in contents.items():
            name = _name(key.removesuffix(SUFFIX))
            reference = decode_reference(name, content)
            found.append(Artifact(path=name, file_size=reference.file_size, digest=reference.digest))
        return sorted(found, key=lambda artifact: (artifact.path, artifact.is_dir))

    def delete(self, path: str) -> None:
        """Take a file or a folder away; not an error if it is not there. Blobs stay until they are collected."""
        keys = (_key(reference_key(path)), _key(folder_key(path)))
        with self._explained():
            for key in keys:
                fs, place = self._place(key)
                try:
                    fs.rm(place, recursive=True)
                except FileNotFoundError:
                    continue

    def _upload(self, reference: Reference, draft: Any) -> None:
        key = blob_key(reference.digest)
        if reference.file_size <= SMALL:
            content = draft.read()
            self._put(key, lambda fs, place: fs.pipe_file(place, content))
        else:
            self._put(key, lambda fs, place: fs.put_file(draft.name, place))
        fs, blob = self._place(key)
        size = fs.info(blob)["size"]
        if size != reference.file_size:
            raise StoreError(
                f"artifact store '{self._shown}' kept {size} of {reference.file_size} bytes; log the file again"
            )

    def _put(self, key: str, put: Callable[[AbstractFileSystem, str], object]) -> None:
        fs, place = self._place(key)
        try:
            put(fs, place)
        except FileNotFoundError:
            if self._uri.partition(":")[0] in PACKAGES:  # folders need not be made there, and nobody asked for a bucket
                raise
            fs.makedirs(place.rpartition("/")[0], exist_ok=True)
            put(fs, place)

    def _content(self, path: str, reference: Reference) -> Iterator[bytes]:
        with self._explained():
            fs, blob = self._place(blob_key(reference.digest))
            try:
                size = fs.info(blob)["size"]
            except FileNotFoundError as error:
                raise corrupt(path, "its content is gone") from error
            if size != reference.file_size:
                raise corrupt(path, "its content is longer or shorter than it was")
            yield from verified(path, pieces(fs, blob, size), reference.digest)

    def _reference(self, path: str) -> Reference:
        key = _key(reference_key(path))
        with self._explained():
            fs, place = self._place(key)
            try:
                return decode_reference(path, fs.cat_file(place))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise NotFound(f"artifact '{path}' does not exist; list what is there before you read it") from error

    def _place(self, key: str) -> tuple[AbstractFileSystem, str]:
        """The file system, of this process, and the path in it that a key stands for."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), *self._open())
        _, fs, root = self._opened
        return fs, f"{root}/{key}" if key else root

    def _open(self) -> tuple[AbstractFileSystem, str]:
        import fsspec

        scheme, _, rest = self._uri.partition(":")
        try:
            # A cached listing would not show what another process has just written.
            fs, root = fsspec.url_to_fs(f"{scheme}://{rest.removeprefix('//')}", use_listings_cache=False)
        except ImportError as error:
            if scheme in PACKAGES:
                extra, package = PACKAGES[scheme]
                raise MissingExtra(f"artifact root '{self._shown}'", extra, package) from error
            raise InvalidInput(
                f"artifact root '{self._shown}' cannot be opened ({error}); install the package"
            ) from error
        except ValueError as error:
            raise InvalidInput(f"artifact root '{self._shown}' cannot be opened; correct the URI") from error
        return fs, root.rstrip("/")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (RatoonError, GeneratorExit):
            raise
        except Exception as error:  # each package behind fsspec raises errors of its own kind
            raise StoreError(
                f"artifact store '{self._shown}' failed ({type(error).__name__}: {error}); check its address, your"
                " permissions and the network"
            ) from error


def pieces(fs: AbstractFileSystem, key: str, size: int) -> Iterator[bytes]:
    """An object in pieces: asked for by range, since not every package's open files can be read by two at once."""
    for begin in range(0, size, SMALL):
        yield fs.cat_file(key, start=begin, end=min(begin + SMALL, size))


def _key(key: str) -> str:
    return key.translate(_PATTERNS)


def _name(key: str) -> str:
    return unquote(key.rstrip("/").rpartition("/")[2])


def _entries(fs: AbstractFileSystem, folder: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = fs.ls(folder, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    # Some list the folder itself as the marker that keeps it alive.
    return [each for each in found if each["name"].strip("/") != folder.strip("/")]
