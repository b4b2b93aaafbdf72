from __future__ import annotations

import copy
import hashlib
import json
import time
import tracemalloc
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import AbstractDataset, AbstractVersionedDataset, CachedDataset, DataCatalog, MemoryDataset, Version
from kedro_datasets.json import JSONDataset
from kedro_datasets.partitions import PartitionedDataset

from ratoon.entities import Dataset
from ratoon_kedro.recording.lineage import Wanted, describe_dataset, digest_of_value
from ratoon_kedro.recording.params import Redactor
from ratoon_kedro.recording.profile import profile_of
from ratoon_kedro.recording.schema import columns_of, schema_of
from ratoon_kedro.recording.stored_files import digest_of_files, files_of


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


TENSORS = {
    "mlflow_tensorspec": {"features": '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'}
}


@pytest.mark.parametrize(
    ("data", "profile", "schema"),
    [
        (
            pd.DataFrame({"a": [1, 2], "b": ["x", "x"], "c": [True, None], "password": [3, 4], "d": [0.5, None]}),
            {
                "num_rows": 2,
                "num_columns": 5,
                "num_elements": 10,
                "columns": [
                    {"name": "a", "min": 1, "max": 2, "mean": 1.5, "nulls": 0},
                    {"name": "b", "distinct": 1, "nulls": 0},
                    {"name": "c", "distinct": 1, "nulls": 1},
                    {"name": "password", "hidden": True},
                    {"name": "d", "min": 0.5, "max": 0.5, "mean": 0.5, "nulls": 1},
                ],
            },
            {
                "mlflow_colspec": [
                    {"type": "long", "name": "a"},
                    {"type": "string", "name": "b"},
                    {"type": "string", "name": "c"},
                    {"type": "long", "name": "password"},
                    {"type": "double", "name": "d"},
                ]
            },
        ),
        (
            np.array([[0.5, 1.5], [2.5, np.nan]]),
            {
                **{"num_rows": 2, "shape": [2, 2], "dtype": "float64", "num_elements": 4},
                **{"min": 0.5, "max": 2.5, "mean": 1.5, "nulls": 1},
            },
            TENSORS,
        ),
        ({"a": 1}, None, None),
        ("text", None, None),
    ],
)
def test_tables_and_arrays_have_a_profile(tmp_path: Path, data: object, profile: object, schema: object) -> None:
    catalog = DataCatalog({"text": LocalFile(str(tmp_path / "a.txt"))})
    wanted = Wanted(hides=Redactor().hides)
    described = describe_dataset(catalog, "text", data, saved=False, wanted=wanted)
    assert described is not None
    assert (json.loads(described.profile) if described.profile else None) == profile
    assert (json.loads(described.schema) if described.schema else None) == schema


def test_a_profile_that_nobody_wants_tells_the_size_only(tmp_path: Path) -> None:
    catalog = DataCatalog({"text": LocalFile(str(tmp_path / "a.txt"))})
    frame = pd.DataFrame({"a": [1, 2]})
    described = describe_dataset(catalog, "text", frame, saved=False, wanted=Wanted(profile=False))
    assert described is not None
    assert json.loads(described.profile or "") == {"num_rows": 2, "num_columns": 1, "num_elements": 2}


@pytest.mark.parametrize("rows", [20_001, 5_000_000])
def test_figures_of_a_long_table_are_those_of_a_part_and_say_so(rows: int) -> None:
    found = profile_of(pd.DataFrame({"a": np.arange(rows)}), lambda column: False)
    assert found is not None
    sample = found["sample"]
    assert sample["rows"] <= 10_000
    assert sample["rows"] == len(range(0, rows, sample["every"]))
    (column,) = found["columns"]
    assert column["max"] == (sample["rows"] - 1) * sample["every"]


@pytest.mark.parametrize(
    "data", [pd.DataFrame({"a": np.arange(5_000_000)}), np.zeros((2_500_000, 2)), pd.DataFrame(np.zeros((20, 20_000)))]
)
def test_a_huge_table_is_neither_copied_nor_read_through(data: Any) -> None:
    size = data.nbytes if isinstance(data, np.ndarray) else int(data.memory_usage(index=False).sum())
    profile_of(data, lambda column: False)
    tracemalloc.start()
    try:
        begin = time.perf_counter()
        assert profile_of(data, lambda column: False) is not None
        assert schema_of(data) is not None
        taken, peak = time.perf_counter() - begin, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < max(size / 8, 3_000_000)
    assert taken < 1


def test_types_of_columns_are_in_mlflows_words() -> None:
    frame = pd.DataFrame(
        {
            "short": np.array([1], dtype="int32"),
            "half": np.array([1], dtype="float32"),
            "nullable": pd.array([1], dtype="Int64"),
            "when": pd.to_datetime(["2026-01-01"]),
            "kind": pd.Categorical(["a"]),
            "text": ["a"],
        }
    )
    assert dict(columns_of(frame)) == {
        "short": "integer",
        "half": "float",
        "nullable": "long",
        "when": "datetime",
        "kind": "string",
        "text": "string",
    }


def test_a_table_in_memory_is_recorded_when_it_was_made() -> None:
    catalog = DataCatalog({"table": MemoryDataset()})
    frame = pd.DataFrame({"a": [1, 2]})
    described = describe_dataset(catalog, "table", frame, saved=True)
    assert described is not None
    assert json.loads(described.source) == {"type": "kedro.io.memory_dataset.MemoryDataset"}
    assert describe_dataset(catalog, "table", frame.copy(), saved=True) == described
    other = describe_dataset(catalog, "table", pd.DataFrame({"a": [1, 3]}), saved=True)
    assert other is not None and other.digest != described.digest
    assert describe_dataset(catalog, "table", frame, saved=False) is None


def test_a_digest_of_the_content_depends_on_nothing_else(tmp_path: Path) -> None:
    content, digests = Wanted(content=True), []
    for name, text in (("a.txt", "one"), ("b.txt", "one"), ("c.txt", "two")):
        (tmp_path / name).write_text(text)
        catalog = DataCatalog({"text": LocalFile(str(tmp_path / name))})
        described = describe_dataset(catalog, "text", text, saved=True, wanted=content)
        assert described is not None
        digests.append(described.digest)
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] == hashlib.sha256(b"one").hexdigest()[:32]


def test_a_folder_has_a_digest_of_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "a.csv").write_text("a\n1\n")
    stored = PartitionedDataset(path=str(folder), dataset="pandas.CSVDataset", filename_suffix=".csv")
    catalog = DataCatalog({"parts": stored})

    def described() -> Dataset:
        found = describe_dataset(catalog, "parts", stored.load(), saved=False, wanted=Wanted(content=True))
        assert found is not None
        return found

    first = described()
    assert json.loads(first.profile or "") == {"partitions": 1}
    assert described() == first
    (folder / "b.csv").write_text("a\n2\n")
    stored.release()
    second = described()
    assert json.loads(second.profile or "") == {"partitions": 2}
    assert second.digest != first.digest


def test_a_folder_is_told_apart_by_the_files_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    stored = PartitionedDataset(path=str(tmp_path), dataset="pandas.CSVDataset", filename_suffix=".csv")
    catalog = DataCatalog({"parts": stored})

    def digest() -> str:
        found = describe_dataset(catalog, "parts", None, saved=False)
        assert found is not None
        return found.digest

    digests = [digest()]
    assert digest() == digests[0]
    for name, text in (("b.csv", "a\n1\n"), ("b.csv", "a\n12\n"), ("c.csv", "")):
        (tmp_path / name).write_text(text)
        digests.append(digest())
    (tmp_path / "c.csv").unlink()
    (tmp_path / "d.csv").touch()
    digests.append(digest())
    monkeypatch.setattr("ratoon_kedro.recording.stored_files.MOST_ENTRIES", 1)
    digests.append(digest())
    (tmp_path / "e.csv").touch()
    digests.append(digest())
    assert len(set(digests)) == len(digests)


def test_a_table_of_a_database_is_told_apart_by_what_is_seen_of_it() -> None:
    catalog = DataCatalog({"table": Table()})
    found = [
        describe_dataset(catalog, "table", frame, saved=False)
        for frame in (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}), None)
    ]
    digests = [each.digest for each in found if each is not None]
    assert digests[0] == digests[1]
    assert len(digests) == 4 and len(set(digests)) == 3


@pytest.mark.parametrize(
    "value",
    ["text", b"bytes", {"b": 1, "a": [1, 2]}, 3, np.arange(3), pd.DataFrame({"a": [1], "b": ["x"]}), pd.Series([1])],
)
def test_a_value_without_a_file_has_a_digest_of_its_content(value: Any) -> None:
    digest = digest_of_value(value)
    assert digest is not None and len(digest) == 32
    assert digest_of_value(copy.deepcopy(value)) == digest


def test_what_nobody_knows_has_no_digest_of_its_content() -> None:
    assert digest_of_value(object()) is None
    assert digest_of_value({"a": object()}) is None


def test_a_file_in_another_place_is_found_through_its_filesystem() -> None:
    stored = JSONDataset(filepath="memory://bucket/report.json")
    stored.save({"a": 1})
    described = describe_dataset(DataCatalog({"r": stored}), "r", None, saved=True, wanted=Wanted(content=True))
    assert described is not None
    assert json.loads(described.source)["path"].startswith("memory://")
    files = files_of(stored, None)
    assert files is not None
    assert files.names == ["report.json"]
    assert described.digest == digest_of_files(files)[:32]
