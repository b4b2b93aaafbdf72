from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from ratoon.errors import Corrupt
from ratoon.models.digests import verify_manifest, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("alpha")
    (tmp_path / "sub" / "b.bin").write_bytes(b"\0\1")
    write_manifest(tmp_path)
    return tmp_path


def test_every_file_is_listed(folder: Path) -> None:
    assert json.loads((folder / "digests.json").read_text()) == {
        "format": 1,
        "algorithm": "sha256",
        "files": {
            "a.txt": hashlib.sha256(b"alpha").hexdigest(),
            "sub/b.bin": hashlib.sha256(b"\0\1").hexdigest(),
        },
    }


def test_an_untouched_folder_is_verified(folder: Path) -> None:
    assert verify_manifest(folder) is True


def test_a_folder_without_a_manifest_is_unverified(folder: Path) -> None:
    (folder / "digests.json").unlink()
    assert verify_manifest(folder) is False


def test_a_changed_file_is_named(folder: Path) -> None:
    (folder / "sub" / "b.bin").write_bytes(b"\0\2")
    with pytest.raises(Corrupt, match=r"'sub/b\.bin' .* was changed"):
        verify_manifest(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "a.txt").unlink()
    with pytest.raises(Corrupt, match=r"'a\.txt' .* is missing"):
        verify_manifest(folder)


def test_an_extra_file_is_named(folder: Path) -> None:
    (folder / "sub" / "evil.py").write_text("")
    with pytest.raises(Corrupt, match=r"'sub/evil\.py' .* was added"):
        verify_manifest(folder)


def test_the_file_that_mlflow_adds_to_downloads_is_no_tampering(folder: Path) -> None:
    (folder / "registered_model_meta").write_text("model_name: x")
    assert verify_manifest(folder)


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("target", ["a.txt", "sub", "nowhere"])
def test_symlinks_are_refused_with_and_without_a_manifest(folder: Path, target: str, manifest: bool) -> None:
    if not manifest:
        (folder / "digests.json").unlink()
    (folder / "link").symlink_to(folder / target)
    with pytest.raises(Corrupt, match=r"'link' .* is a symlink"):
        verify_manifest(folder)


def test_a_listed_file_that_became_a_symlink_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    same = tmp_path_factory.mktemp("elsewhere") / "same.txt"
    same.write_text("alpha")
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(same)
    with pytest.raises(Corrupt, match=r"'a\.txt'"):
        verify_manifest(folder)


def test_a_pipe_is_refused_before_anybody_waits_for_it(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(Corrupt, match="'pipe'"):
        verify_manifest(folder)


def test_no_manifest_is_written_over_a_symlink(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "a.txt")
    with pytest.raises(Corrupt, match="'link'"):
        write_manifest(folder)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff", b'{"format":1,"algorithm":"sha256","files":[]}']
)
def test_a_damaged_manifest_is_refused(folder: Path, content: bytes) -> None:
    (folder / "digests.json").write_bytes(content)
    with pytest.raises(Corrupt, match=r"digests\.json' is damaged"):
        verify_manifest(folder)


@pytest.mark.parametrize("format_, algorithm", [(2, "sha256"), (1, "md5")])
def test_an_unknown_manifest_is_refused(folder: Path, format_: int, algorithm: str) -> None:
    (folder / "digests.json").write_text(json.dumps({"format": format_, "algorithm": algorithm, "files": {}}))
    with pytest.raises(Corrupt, match="update ratoon"):
        verify_manifest(folder)
