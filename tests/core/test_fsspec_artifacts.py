from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from ratoon.artifacts.fsspec_store import FsspecArtifactStore
from ratoon.artifacts.local import LocalArtifactStore
from ratoon.artifacts.plugin import open_artifact_store
from ratoon.errors import Corrupt, InvalidInput, MissingExtra, StoreError
from ratoon.testing import ArtifactStoreContract
from ratoon.testing.artifact_store import LARGE, BreaksOff, content_of

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


class TestMemory(ArtifactStoreContract):
    @pytest.fixture
    def store(self) -> FsspecArtifactStore:
        return FsspecArtifactStore(f"memory://{uuid.uuid4().hex}/files")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3, in a process of its own."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert server.stderr is not None
    address = next(line.rpartition(" ")[2].strip() for line in server.stderr if "Running on http" in line)
    # The server's log would fill its pipe.
    threading.Thread(target=server.stderr.read, daemon=True).start()
    yield address
    server.kill()
    server.wait()
    server.stderr.close()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a new bucket."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    fsspec.filesystem("s3").clear_instance_cache()
    name = f"ratoon-{uuid.uuid4().hex}"
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}/files"


@pytest.mark.slow
class TestS3(ArtifactStoreContract):
    @pytest.fixture
    def store(self, bucket: str) -> FsspecArtifactStore:
        return FsspecArtifactStore(bucket)


@pytest.mark.slow
def test_a_large_file_passes_through_s3_in_parts_and_back(bucket: str) -> None:
    store = open_artifact_store(bucket)
    assert isinstance(store, FsspecArtifactStore)
    content = LARGE * 20
    written = store.write("large.bin", io.BytesIO(content))
    assert content_of(store, "large.bin") == content
    assert FsspecArtifactStore(bucket).stat("large.bin") == written


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_a_store_error(bucket: str) -> None:
    store = FsspecArtifactStore("s3://nobody-made-this/files")
    with pytest.raises(StoreError, match="s3://nobody-made-this/files.*permissions"):
        store.write("a", io.BytesIO(b"x"))


def test_the_layout_is_that_of_a_folder_on_a_disk(tmp_path: Path) -> None:
    remote, local = FsspecArtifactStore(f"local://{tmp_path}"), LocalArtifactStore(tmp_path)
    remote.write("a/Größe%.txt", io.BytesIO(b"one"))
    local.write("a/b.ref", io.BytesIO(b"two"))
    assert content_of(local, "a/Größe%.txt") == b"one"
    assert content_of(remote, "a/b.ref") == b"two"
    assert [found.path for found in remote.list("a")] == [found.path for found in local.list("a")]


def test_names_that_fsspec_reads_as_patterns_are_names(tmp_path: Path) -> None:
    store = FsspecArtifactStore(f"memory://{uuid.uuid4().hex}")
    for path in ("a[b]/x", "a{b,c}/x", "ab/x", "ac/x", "ab"):
        store.write(path, io.BytesIO(path.encode()))
    store.delete("a[b]")
    store.delete("a{b,c}")
    assert [(found.path, found.is_dir) for found in store.list()] == [("ab", False), ("ab", True), ("ac", True)]


@pytest.mark.parametrize("damage", [b"", b"xxx", b"something longer"])
def test_a_damaged_content_is_never_handed_out_whole_and_heals_when_it_is_logged_again(damage: bytes) -> None:
    store = FsspecArtifactStore(uri := f"memory://{uuid.uuid4().hex}")
    store.write("a", io.BytesIO(b"abc"))
    fs, root = fsspec.url_to_fs(uri)
    (blob,) = fs.find(f"{root}/blobs")
    fs.pipe_file(blob, damage)
    with pytest.raises(Corrupt, match="'a' is corrupt"):
        content_of(store, "a")
    fs.rm_file(blob)
    with pytest.raises(Corrupt, match="gone"):
        content_of(store, "a")
    assert store.write("b", io.BytesIO(b"abc")).file_size == 3
    assert content_of(store, "a") == b"abc"


def test_a_stream_that_breaks_off_leaves_nothing_behind() -> None:
    store = FsspecArtifactStore(uri := f"memory://{uuid.uuid4().hex}")
    with pytest.raises(ConnectionAbortedError):
        store.write("a", BreaksOff(LARGE))
    fs, root = fsspec.url_to_fs(uri)
    assert fs.find(root) == []


@pytest.mark.parametrize(
    ("uri", "extra", "package"),
    [("gs://bucket/x", "gcs", "gcsfs"), ("abfs://box/x", "azure", "adlfs"), ("s3://bucket/x", "aws", "s3fs")],
)
def test_a_missing_package_is_named_with_its_extra(
    uri: str, extra: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for scheme in ("s3", "gs", "abfs"):
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    with pytest.raises(MissingExtra, match=rf"{package}.*ratoon\[{extra}\]"):
        open_artifact_store(uri)


def test_a_uri_needs_no_slashes() -> None:
    name = uuid.uuid4().hex
    FsspecArtifactStore(f"memory:{name}").write("a", io.BytesIO(b"abc"))
    assert content_of(FsspecArtifactStore(f"memory://{name}"), "a") == b"abc"


def test_a_scheme_that_nobody_knows_is_left_to_other_plugins() -> None:
    assert open_artifact_store("carrier-pigeon://loft/x") is None


def test_credentials_in_a_uri_are_not_shown() -> None:
    store = FsspecArtifactStore("memory://user:secret@bucket/x")
    assert "secret" not in repr(store)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_fork_opens_the_store_anew() -> None:
    store = FsspecArtifactStore(f"memory://{uuid.uuid4().hex}")
    store.write("a", io.BytesIO(b"abc"))
    child = os.fork()
    if child == 0:
        os._exit(0 if content_of(store, "a") == b"abc" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_is_no_uri_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be opened"):
        open_artifact_store("sftp://")
