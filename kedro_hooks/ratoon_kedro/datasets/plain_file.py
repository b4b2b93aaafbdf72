"""A file that a node wrote or returns as text or bytes, and whose path the next node gets."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractVersionedDataset, DatasetError, Version


class PlainFile(AbstractVersionedDataset[Any, Path]):
    """A local file, whatever is in it.

    Args:
        filepath: Where it lies.
        version: Its version, if it has versions.
    """

    def __init__(self, *, filepath: str, version: Version | None = None) -> None:
        super().__init__(filepath=PurePosixPath(filepath), version=version)
        self._protocol = "file"

    def save(self, data: Any) -> None:
        """Write text or bytes, or copy the file at a path."""
        target = Path(self._get_save_path())
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, Path):
            if data.resolve() != target.resolve():
                shutil.copyfile(data, target)
        elif isinstance(data, bytes):
            target.write_bytes(data)
        elif isinstance(data, str):
            target.write_text(data, encoding="utf-8")
        else:
            raise DatasetError(
                f"a value of type {type(data).__name__!r} is no file; return text, bytes or a path, "
                "or give the artifact dataset a dataset that writes such values"
            )

    def load(self) -> Path:
        """The path of the file; FileNotFoundError if there is none."""
        path = Path(self._get_load_path())
        if not path.is_file():
            raise FileNotFoundError(f"file '{path}' does not exist; save it first")
        return path

    def _exists(self) -> bool:
        return Path(self._get_load_path()).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}
