from __future__ import annotations

import stat
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from ratoon.errors import Corrupt, InvalidInput
from ratoon.serving.targets.process import ProcessId
from ratoon.serving.targets.records import Record, Records

RECORD = Record(
    name="iris", model_uri="models:/iris@champion", port=5001, process=ProcessId(1, "b:2"), created_at=3, log="/tmp/l"
)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "home" / "deployments")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_records_are_kept_by_name_replaced_and_removed(records: Records) -> None:
    assert records.get("iris") is None and records.all() == []
    with records.locked("iris"):
        records.put(RECORD)
        records.put(msgspec.structs.replace(RECORD, name="churn"))
        records.put(msgspec.structs.replace(RECORD, port=5002))
    assert [record.name for record in records.all()] == ["churn", "iris"]
    found = records.get("iris")
    assert found is not None and found.port == 5002
    records.remove("iris")
    records.remove("iris")
    assert [record.name for record in records.all()] == ["churn"]


def test_everything_is_private_to_its_user(records: Records, tmp_path: Path) -> None:
    with records.locked("iris"), records.open_log("iris"):
        records.put(RECORD)
    folder = tmp_path / "home" / "deployments"
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == {
        "iris.json": 0o600,
        "iris.lock": 0o600,
        "iris.log": 0o600,
    }


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "-a", ".a", "a b", "a\n", "ä", "a" * 65])
def test_names_that_cannot_be_files_are_refused(name: str, records: Records) -> None:
    with pytest.raises(InvalidInput, match="is not allowed; use up to 64 letters"):
        records.get(name)
    with pytest.raises(InvalidInput, match="is not allowed"), records.locked(name):
        pass


def test_a_damaged_record_is_named(records: Records, tmp_path: Path) -> None:
    with records.locked("iris"):
        records.put(RECORD)
    path = tmp_path / "home" / "deployments" / "iris.json"
    path.write_text("{")
    with pytest.raises(Corrupt, match=r"deployment record '.*iris\.json' cannot be read"):
        records.all()


def test_another_process_waits_for_the_lock(records: Records, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from ratoon.serving.targets.records import Records\n"
        "with Records(pathlib.Path(sys.argv[1])).locked('iris'): print('locked', flush=True)"
    )
    with records.locked("iris"):
        command = [sys.executable, "-c", code, str(tmp_path / "home" / "deployments")]
        other = subprocess.Popen(command, stdout=subprocess.PIPE)
        time.sleep(0.5)
        assert other.poll() is None
    assert other.communicate(timeout=10)[0] == b"locked\n"
