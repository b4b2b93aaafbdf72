"""The files of datasets as artifacts of the run: ``kedro/datasets/<dataset>/…``."""

from __future__ import annotations

from typing import Any

from ratoon.errors import InvalidInput
from ratoon_kedro.guarding import guard
from ratoon_kedro.recording.stored_files import Files, behind, files_of, lives_in_memory, version_of
from ratoon_kedro.state import Tracked

FOLDER = "kedro/datasets"


def keep_files(tracked: Tracked, stored: Any, dataset: str, *, asked: bool) -> None:
    """Keep the files of a dataset that was just saved.

    They are read while other nodes run; which files they are is found out now.

    Args:
        tracked: The run.
        stored: The dataset of the catalog.
        dataset: What it is called in the run.
        asked: Whether it was asked for by this name, and not by a pattern.

    Raises:
        InvalidInput: The dataset was asked for and has no files.
    """
    stored = behind(stored)
    files = None if lives_in_memory(stored) else files_of(stored, version_of(stored, saved=True))
    if files is None:
        if asked:
            raise InvalidInput("it has no files; give it a type that writes some, or take the option 'artifact' away")
        return

    def upload() -> None:
        with guard(f"keep the files of dataset {dataset!r}", tracked.context):
            _upload(tracked, files, dataset)

    if tracked.owned is None:  # a worker process, which must be done when its node is
        upload()
    else:
        tracked.uploads.add(upload)


def _upload(tracked: Tracked, files: Files, dataset: str) -> None:
    from ratoon_kedro.recording.params import safe_part

    for name, path in zip(files.names, files.paths, strict=True):
        with files.filesystem.open(path, "rb") as stream:
            tracked.run.log_stream(stream, f"{FOLDER}/{safe_part(dataset)}/{name}")
