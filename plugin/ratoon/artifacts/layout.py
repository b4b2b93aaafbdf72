"""How content-addressed stores lay out what they keep, on a disk or in a bucket.

::

    blobs/ab/cd/<SHA-256 in hex>    the content, written once, never changed
    refs/<path>.ref                 {"digest", "file_size"}: what a path stands for now

A blob is complete before a reference names it. Names in ``refs`` are escaped, so that no path of a client is a path of
the store.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import IO

import msgspec

from ratoon.artifacts.paths import check_path
from ratoon.errors import Corrupt, InvalidInput

CHUNK = 1024 * 1024
SUFFIX = ".ref"
# What every common file system takes, less our suffix.
MAX_NAME = 255 - len(SUFFIX)

# What a name on disk must not hold: the escape itself, what some file system refuses, a dot at either end or before our
# own suffix.
_SPECIAL = re.compile(r'[%\x00-\x1f\x7f/\\:*?"<>|]|^\.|\.$|\.(?=ref$)')


class Reference(msgspec.Struct, frozen=True):
    """What a path stands for."""

    digest: str
    file_size: int


def blob_key(digest: str) -> str:
    """Where a content lies, below the root."""
    return f"blobs/{digest[:2]}/{digest[2:4]}/{digest}"


def folder_key(path: str) -> str:
    """Where the references of a folder lie, below the root; an empty path is the whole store's."""
    segments = check_path(path).split("/") if path else []
    return "/".join(["refs", *map(escape, segments)])


def reference_key(path: str) -> str:
    """Where the reference of a file lies; the suffix keeps a file and a folder of the same name apart."""
    return folder_key(check_path(path)) + SUFFIX


def escape(segment: str) -> str:
    """A file name for a part of a path, that :func:`urllib.parse.unquote` turns back."""
    escaped = _SPECIAL.sub(lambda found: f"%{ord(found.group()):02X}", segment)
    if len(escaped.encode()) > MAX_NAME:
        raise InvalidInput(
            f"artifact name {segment[:80]!r} is not allowed (with its special characters escaped it is too long for a"
            " file name); shorten it"
        )
    return escaped


def decode_reference(path: str, content: bytes) -> Reference:
    """Read a reference; Corrupt if it is none."""
    try:
        return msgspec.json.decode(content, type=Reference)
    except msgspec.DecodeError as error:
        raise corrupt(path, "its reference cannot be read") from error


def verified(path: str, chunks: Iterable[bytes], digest: str) -> Iterator[bytes]:
    """Yield a blob in chunks; Corrupt instead of the last one if the content is not the digest's."""
    hasher, held = hashlib.sha256(), b""
    for chunk in chunks:
        hasher.update(chunk)
        if held:
            yield held
        held = chunk
    if hasher.hexdigest() != digest:
        raise corrupt(path, "its content differs from its digest")
    if held:
        yield held


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    """What a file yields, in chunks."""
    while chunk := file.read(CHUNK):
        yield chunk


def copy_hashed(stream: IO[bytes], file: IO[bytes]) -> Reference:
    """Copy everything that a stream yields; its digest and size."""
    hasher, size = hashlib.sha256(), 0
    for chunk in chunks_of(stream):
        hasher.update(chunk)
        size += len(chunk)
        file.write(chunk)
    return Reference(hasher.hexdigest(), size)


def corrupt(path: str, cause: str) -> Corrupt:
    """The error for stored bytes that are not what was written."""
    return Corrupt(f"artifact '{path}' is corrupt ({cause}); log it again, or restore the store from a backup")
