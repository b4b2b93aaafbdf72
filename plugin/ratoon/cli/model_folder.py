"""A model's files in a folder, for commands that look at them without loading the model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ratoon.tracking.client import Client
from ratoon.tracking.models import download_model


@contextmanager
def folder_of(client: Client, uri: str) -> Iterator[Path]:
    """The folder that a URI names; for a model in a store a copy, which is gone at the end."""
    if ":/" not in uri:
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory(prefix="ratoon-model-") as scratch:
        yield download_model(client, uri, Path(scratch))
