"""The protocol behind every artifact store.

A path is a key with forward slashes, relative to the store's root; :func:`ratoon.artifacts.paths.check_path` says what
is allowed in it. A call that returned is durable, a file that was not written to its end is never seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol, runtime_checkable

from msgspec import Struct

from ratoon.entities import Artifact


class ArtifactStore(Protocol):
    """Files by path: written whole, read verified."""

    def write(self, path: str, stream: BinaryIO) -> Artifact:
        """Store everything that the stream yields under a path; what was there before is replaced at once."""

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the content in chunks.

        NotFound if there is no such file. Corrupt, at the latest instead of the last chunk, if the bytes are not
        those that were written: whoever uses a chunk before the end uses unverified data.
        """

    def stat(self, path: str) -> Artifact:
        """Size and digest of a file; NotFound if there is none."""

    def list(self, path: str = "") -> list[Artifact]:
        """What lies directly in a folder, by name, with paths relative to it; nothing for one that is not there."""

    def delete(self, path: str) -> None:
        """Take a file or a folder away; not an error if it is not there."""


class Freed(Struct, frozen=True, kw_only=True):
    """How many contents went that no path stood for, and their bytes."""

    blobs: int
    size: int


@runtime_checkable
class Collectable(Protocol):
    """A store that keeps contents apart from paths, and can remove those that no path stands for any more."""

    def collect(self, grace: float, *, dry_run: bool = False) -> Freed:
        """Remove contents without a path, and debris of broken writes, that are older than ``grace`` seconds."""
