"""Where a dataset keeps its value while no run takes it: a private folder that goes when the process ends."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def private_folder(owner: object) -> Path:
    """Choose a folder for an object; worker processes that get copies of the object find it by its path.

    It is made when something is put into it, and removed with the object in the process that chose it.
    """
    folder = Path(tempfile.gettempdir()) / f"ratoon-dataset-{uuid.uuid4().hex}"
    weakref.finalize(owner, _remove, folder, os.getpid())
    return folder


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give a new folder to write to, which takes the place of the old one only when it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))  # for nobody else to read
    try:
        yield scratch
        if folder.exists():
            shutil.rmtree(folder)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
