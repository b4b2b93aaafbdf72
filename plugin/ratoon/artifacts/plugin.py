"""Answers paths and ``file:`` with a folder, ``http:`` with a server's proxy, the other schemes of fsspec with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ratoon.errors import InvalidInput
from ratoon.hookspecs import hookimpl

if TYPE_CHECKING:
    from ratoon.artifacts.protocol import ArtifactStore


# Two letters at least: one is a drive.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@hookimpl
def open_artifact_store(uri: str) -> ArtifactStore | None:
    """Open a folder, made when something is first written to it, the files behind a server, or a bucket."""
    if uri.startswith(("http://", "https://")):
        from ratoon.artifacts.remote import RemoteArtifactStore
        from ratoon.remote.connection import Connection

        return RemoteArtifactStore(Connection(uri))
    if _SCHEME.match(uri) and not uri.startswith("file:"):
        return _through_fsspec(uri)
    from ratoon.artifacts.local import LocalArtifactStore

    return LocalArtifactStore(_folder(uri))


def _folder(uri: str) -> Path:
    if not uri.startswith("file:"):
        return Path(uri)
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise InvalidInput(f"artifact root '{uri}' names a host, a query or a fragment; give file:///folder")
    return Path(unquote(parts.path))


def _through_fsspec(uri: str) -> ArtifactStore | None:
    from fsspec.registry import known_implementations, registry

    if uri.partition(":")[0] not in {*known_implementations, *registry}:
        return None
    from ratoon.artifacts.fsspec_store import FsspecArtifactStore

    return FsspecArtifactStore(uri)
