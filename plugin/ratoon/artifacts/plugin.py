"""Answers paths and ``file:`` URIs with the local artifact store."""

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
    """Open a folder, made when something is first written to it."""
    if uri.startswith("file:"):
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise InvalidInput(f"artifact root '{uri}' names a host, a query or a fragment; give file:///folder")
        uri = unquote(parts.path)
    elif _SCHEME.match(uri):
        return None
    from ratoon.artifacts.local import LocalArtifactStore

    return LocalArtifactStore(Path(uri))
