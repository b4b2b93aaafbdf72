"""The two kinds of file that this project reads and writes, so that it needs no further package."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import fsspec
import pandas as pd
from kedro.io import AbstractVersionedDataset, Version
from kedro.io.core import get_filepath_str, get_protocol_and_path


class _File(AbstractVersionedDataset):
    """A file in any place that fsspec reaches."""

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        self._protocol, path = get_protocol_and_path(filepath, version)
        self._fs = fsspec.filesystem(self._protocol)
        self.metadata = metadata
        super().__init__(
            filepath=PurePosixPath(path),
            version=version,
            exists_function=self._fs.exists,
            glob_function=self._fs.glob,
        )

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "protocol": self._protocol, "version": self._version}

    def _exists(self) -> bool:
        return bool(self._fs.exists(get_filepath_str(self._get_load_path(), self._protocol)))

    def _open_to_load(self) -> Any:
        return self._fs.open(get_filepath_str(self._get_load_path(), self._protocol), "r", encoding="utf-8")

    def _open_to_save(self) -> Any:
        path = get_filepath_str(self._get_save_path(), self._protocol)
        self._fs.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
        return self._fs.open(path, "w", encoding="utf-8")


class CSVTable(_File):
    """A table with a header line."""

    def load(self) -> pd.DataFrame:
        with self._open_to_load() as file:
            return pd.read_csv(file)

    def save(self, data: pd.DataFrame) -> None:
        with self._open_to_save() as file:
            data.to_csv(file, index=False)


class JSONReport(_File):
    """A small document that people and programs read."""

    def load(self) -> Any:
        with self._open_to_load() as file:
            return json.load(file)

    def save(self, data: Any) -> None:
        with self._open_to_save() as file:
            json.dump(data, file, indent=2)
