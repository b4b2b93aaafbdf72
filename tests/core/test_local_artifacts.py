from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from ratoon.artifacts.local import LocalArtifactStore
from ratoon.artifacts.paths import join
from ratoon.artifacts.plugin import open_artifact_store
from ratoon.artifacts.protocol import ArtifactStore
from ratoon.errors import Corrupt, InvalidInput, StoreError
from ratoon.testing import ArtifactStoreContract

MIB = 1024 * 1024


class TestLocalArtifactStore(ArtifactStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ArtifactStore:
        return LocalArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def store(root: Path) -> LocalArtifactStore:
    return LocalArtifactStore(root)


def blobs(root: Path) -> list[Path]:
    return sorted(path for path in (root / "blobs").rglob("*") if path.is_file())


def delivered(store: ArtifactStore, path: str) -> bytes:
    """What a reader gets before the store says that it is corrupt."""
    received = bytearray()
    with pytest.raises(Corrupt, match=f"artifact '{path}' is corrupt .*; log it again"):
        for chunk in store.read(path):
            received += chunk
    return bytes(received)


@pytest.mark.parametrize("size", [1, 100, MIB, MIB + 1, 3 * MIB + 17])
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_a_flipped_byte_is_never_delivered_as_a_whole_file(
    store: LocalArtifactStore, root: Path, size: int, where: float
) -> None:
    store.write("a", io.BytesIO(b"x" * size))
    (blob,) = blobs(root)
    content = bytearray(blob.read_bytes())
    content[int(where * (size - 1))] ^= 1
    blob.write_bytes(content)
    assert len(delivered(store, "a")) < size


@pytest.mark.parametrize("left", [0, 1, MIB, 2 * MIB])
def test_a_truncated_file_is_never_delivered_as_a_whole(store: LocalArtifactStore, root: Path, left: int) -> None:
    store.write("a", io.BytesIO(b"x" * 2 * MIB + b"y"))
    (blob,) = blobs(root)
    os.truncate(blob, left)
    assert len(delivered(store, "a")) <= max(0, left - 1)


def test_a_longer_file_is_corrupt(store: LocalArtifactStore, root: Path) -> None:
    store.write("a", io.BytesIO(b"x"))
    (blob,) = blobs(root)
    blob.write_bytes(b"xx")
    assert delivered(store, "a") == b""


def test_a_lost_blob_is_corrupt(store: LocalArtifactStore, root: Path) -> None:
    store.write("a", io.BytesIO(b"x"))
    (blob,) = blobs(root)
    blob.unlink()
    assert delivered(store, "a") == b""


def test_a_damaged_reference_is_corrupt(store: LocalArtifactStore, root: Path) -> None:
    store.write("folder/a", io.BytesIO(b"x"))
    (root / "refs" / "folder" / "a.ref").write_bytes(b'{"digest"')
    for call in (store.stat, store.read, lambda _: store.list("folder")):
        with pytest.raises(Corrupt, match="its reference cannot be read"):
            call("folder/a")


def test_a_blob_that_cannot_be_opened_is_a_store_error(store: LocalArtifactStore, root: Path) -> None:
    store.write("a", io.BytesIO(b"x"))
    (blob,) = blobs(root)
    blob.unlink()
    blob.mkdir()
    with pytest.raises(StoreError, match="check its owner"):
        list(store.read("a"))


def test_logging_a_damaged_file_again_heals_it(store: LocalArtifactStore, root: Path) -> None:
    store.write("a", io.BytesIO(b"content"))
    (blob,) = blobs(root)
    blob.write_bytes(b"damaged")
    store.write("b", io.BytesIO(b"content"))
    assert b"".join(store.read("a")) == b"content"


def test_equal_contents_are_kept_once(store: LocalArtifactStore, root: Path) -> None:
    for path in ("a", "b", "c/d"):
        store.write(path, io.BytesIO(b"same"))
    store.write("e", io.BytesIO(b"other"))
    assert len(blobs(root)) == 2


def test_files_are_readable_as_the_umask_says(store: LocalArtifactStore, root: Path) -> None:
    before = os.umask(0o027)
    try:
        store.write("a/b", io.BytesIO(b"x"))
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_dir()}
    assert (modes, folders) == ({0o640}, {0o750})


def test_nothing_is_left_in_incoming(store: LocalArtifactStore, root: Path) -> None:
    def broken(size: int = -1) -> bytes:
        raise KeyboardInterrupt

    stream = io.BytesIO(b"x")
    store.write("a", stream)
    stream.read = broken  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        store.write("b", stream)
    assert list((root / "incoming").iterdir()) == []
    assert len(blobs(root)) == 1


def test_nothing_is_written_outside_of_the_root(store: LocalArtifactStore, root: Path) -> None:
    for path in ("%2e%2e/%2e%2e/up", "...", "~/x", "%2Fetc%2Fpasswd"):
        store.write(path, io.BytesIO(b"x"))
    assert [path.name for path in root.parent.iterdir()] == [root.name]


def test_a_root_that_cannot_be_written_to_is_a_store_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = LocalArtifactStore(tmp_path / "file")
    with pytest.raises(StoreError, match="file' failed .*; check its owner and the free space") as caught:
        store.write("a", io.BytesIO(b"x"))
    assert "\n" not in str(caught.value)


def test_a_name_that_is_too_long_for_the_disk_is_refused(store: LocalArtifactStore) -> None:
    store.write("%" * 83, io.BytesIO(b"x"))
    with pytest.raises(InvalidInput, match="too long for a file name"):
        store.write("%" * 84, io.BytesIO(b"x"))
    assert [found.path for found in store.list()] == ["%" * 83]


def test_the_plugin_opens_folders_and_file_uris(tmp_path: Path) -> None:
    for uri in (str(tmp_path / "a b%20"), (tmp_path / "a b%20").as_uri(), f"file://localhost{tmp_path}/a%20b%2520"):
        store = open_artifact_store(uri)
        assert store is not None
        store.write("x", io.BytesIO(uri.encode()))
    assert [path.name for path in tmp_path.iterdir()] == ["a b%20"]
    assert open_artifact_store("pigeon://loft/path") is None


@pytest.mark.parametrize("uri", ["file://host/share", "file:///a?b", "file:///a#b"])
def test_a_file_uri_that_names_more_than_a_folder_is_refused(uri: str) -> None:
    with pytest.raises(InvalidInput, match="names a host, a query or a fragment"):
        open_artifact_store(uri)


def test_paths_are_joined_without_empty_parts() -> None:
    assert join("", "a/", "/b", "", "c") == "a/b/c"
    assert join() == join("", "/") == ""


@pytest.mark.parametrize("uri", ["pigeon:loft", "pigeon://loft/models"])
def test_a_root_with_a_scheme_is_left_to_the_plugin_that_knows_it(uri: str) -> None:
    assert open_artifact_store(uri) is None
