from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import AbstractDataset, AbstractVersionedDataset, CachedDataset, DataCatalog, MemoryDataset, Version

from ratoon_kedro.lineage import describe_dataset


class TextFile(AbstractVersionedDataset[str, str]):
    """A local text file, as plain as a dataset can be."""

    def __init__(self, filepath: str, version: Version | None = None) -> None:
        super().__init__(PurePosixPath(filepath), version)

    def load(self) -> str:
        return Path(self._get_load_path()).read_text()

    def save(self, data: str) -> None:
        path = Path(self._get_save_path())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}


class LocalFile(TextFile):
    """The same through fsspec, as Kedro's own datasets are."""

    def __init__(self, filepath: str) -> None:
        import fsspec

        super().__init__(filepath)
        self._fs = fsspec.filesystem("file")
        self._protocol = "file"


class Table(AbstractDataset[None, None]):
    """A table in a database, whose place holds a password."""

    def load(self) -> None:
        """Nothing to load."""

    def save(self, data: None) -> None:
        """Nothing to save."""

    def _describe(self) -> dict[str, Any]:
        return {"table_name": "wines", "path": "postgresql://anna:pw@host/db"}


def test_a_file_has_another_digest_when_it_was_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    catalog = DataCatalog({"text": LocalFile(str(path))})
    first = describe_dataset(catalog, "text", "one", saved=False)
    assert describe_dataset(catalog, "text", "one", saved=True) == first
    path.write_text("three")
    second = describe_dataset(catalog, "text", "three", saved=False)
    assert first is not None and second is not None
    assert first.digest != second.digest
    assert json.loads(first.source)["path"] == str(path)


def test_a_file_that_is_gone_still_has_a_digest_by_name(tmp_path: Path) -> None:
    catalog = DataCatalog({"text": LocalFile(str(tmp_path / "none.txt"))})
    described = describe_dataset(catalog, "text", "", saved=False)
    assert described is not None and len(described.digest) == 32


def test_a_versioned_dataset_is_told_apart_by_its_version(tmp_path: Path) -> None:
    stored = TextFile(str(tmp_path / "a.txt"), Version(None, "2026-01-01T00.00.00.000Z"))
    stored.save("one")
    catalog = DataCatalog({"text": stored})
    saved = describe_dataset(catalog, "text", "one", saved=True)
    loaded = describe_dataset(catalog, "text", "one", saved=False)
    assert saved == loaded
    assert saved is not None
    source = json.loads(saved.source)
    assert source["version"] == "2026-01-01T00.00.00.000Z"
    assert Path(source["path"]).read_text() == "one"


def test_what_is_only_in_memory_is_no_dataset_of_the_run() -> None:
    catalog = DataCatalog({"number": MemoryDataset(3)})
    assert describe_dataset(catalog, "number", 3, saved=True) is None
    assert describe_dataset(catalog, "unknown", 3, saved=True) is None


def test_a_cache_is_looked_through_and_transcoded_names_are_one(tmp_path: Path) -> None:
    catalog = DataCatalog({"text@plain": CachedDataset(LocalFile(str(tmp_path / "a.txt")))})
    described = describe_dataset(catalog, "text@plain", "", saved=False)
    assert described is not None
    assert described.name == "text"
    assert json.loads(described.source)["type"].endswith("LocalFile")


def test_no_password_gets_into_the_place() -> None:
    described = describe_dataset(DataCatalog({"table": Table()}), "table", None, saved=False)
    assert described is not None
    assert json.loads(described.source)["path"] == "postgresql://[redacted]@host/db"


@pytest.mark.parametrize(
    ("data", "profile", "schema"),
    [
        (
            pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [True, False]}),
            {"num_rows": 2, "num_columns": 3},
            [("a", "long"), ("b", "string"), ("c", "boolean")],
        ),
        (np.zeros((3, 2)), {"num_rows": 3, "shape": [3, 2], "dtype": "float64"}, None),
        (pd.Series([1.5]), {"num_rows": 1, "shape": [1], "dtype": "float64"}, None),
        ({"a": 1}, None, None),
        ("text", None, None),
    ],
)
def test_tables_and_arrays_have_a_profile(tmp_path: Path, data: object, profile: object, schema: object) -> None:
    catalog = DataCatalog({"text": LocalFile(str(tmp_path / "a.txt"))})
    described = describe_dataset(catalog, "text", data, saved=False)
    assert described is not None
    assert (json.loads(described.profile) if described.profile else None) == profile
    columns = json.loads(described.schema)["mlflow_colspec"] if described.schema else None
    assert (columns and [(column["name"], column["type"]) for column in columns]) == schema
