"""Messages about files."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from ratoon.entities import Artifact
from ratoon.server.wire.fields import Json, Required, given
from ratoon.server.wire.runs import OneRun


class ListProxied(Struct, frozen=True):
    """``mlflow-artifacts/artifacts``."""

    path: str | None = None


class ListRunFiles(OneRun, frozen=True, kw_only=True):
    """``artifacts/list``."""

    path: str | None = None


class ListModelFiles(Struct, frozen=True, kw_only=True):
    """``logged-models/{model_id}/artifacts/directories``."""

    model_id: Required
    artifact_directory_path: str | None = None


def files_json(files: Iterable[Artifact]) -> Json:
    """The ``files`` of a listing; nothing for an empty one. The digest is an extension."""
    found = [given(msgspec.structs.asdict(file)) for file in files]
    return {"files": found} if found else {}
