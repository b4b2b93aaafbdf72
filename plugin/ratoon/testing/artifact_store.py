"""What an artifact store must do, as tests. See :mod:`ratoon.artifacts.protocol` for the documented behaviour."""

from __future__ import annotations

import hashlib
import io
import random
from typing import BinaryIO

import pytest

from ratoon.artifacts.protocol import ArtifactStore
from ratoon.entities import Artifact
from ratoon.errors import InvalidInput, NotFound, StoreError
from ratoon.testing.values import at_once, refused

LARGE = random.Random(7).randbytes(3 * 1024 * 1024 + 17)
CONTENTS = (b"", b"x", b"\0" * 100, LARGE[: 1024 * 1024], LARGE[: 2 * 1024 * 1024], LARGE)

ODD_NAMES = (
    "a.ref",
    "ref",
    ".ref",
    ".hidden",
    "...",
    "trailing.",
    " space ",
    "100%",
    "%2e%2e",
    "%41",
    "ab:c",
    'quo"te',
    "star*",
    "q?",
    "<tag>",
    "pi|pe",
    "~",
    "-rf",
    "Größe",
    "\N{SEEDLING}",
    "é" * 100,
    "blobs",
    "incoming",
    "refs",
    "CON",
)
OUTSIDE = (
    "/etc/passwd",
    "//host/share",
    "..",
    ".",
    "../up",
    "a/../../up",
    "a/..",
    "a/./b",
    "a//b",
    "a/",
    "a\\..\\b",
    "..\\up",
    "C:/windows",
    "C:up",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "\ud800",
    "x" * 241,
    "/".join(["x"] * 600),
)


class _Files:
    """What every rule begins with; a subclass says where the store comes from."""

    @pytest.fixture
    def store(self) -> ArtifactStore:
        """A new, empty store."""
        raise NotImplementedError("give your test class a fixture 'store' that returns a new, empty store")


class _ContentRules(_Files):
    @pytest.mark.parametrize("content", CONTENTS, ids=len)
    def test_a_file_reads_back_equal(self, store: ArtifactStore, content: bytes) -> None:
        written = store.write("plots/roc.png", io.BytesIO(content))
        digest = hashlib.sha256(content).hexdigest()
        assert written == Artifact(path="plots/roc.png", file_size=len(content), digest=digest)
        assert store.stat("plots/roc.png") == written
        assert content_of(store, "plots/roc.png") == content

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_a_name_is_a_key_whatever_it_looks_like(self, store: ArtifactStore, name: str) -> None:
        for path in (name, f"folder/{name}", f"{name}/file"):
            store.write(path, io.BytesIO(path.encode()))
        for path in (name, f"folder/{name}", f"{name}/file"):
            assert content_of(store, path) == path.encode()
        assert [(found.path, found.is_dir) for found in store.list("folder")] == [(name, False)]
        assert [(found.path, found.is_dir) for found in store.list(name)] == [("file", False)]

    def test_an_overwritten_file_has_its_new_content_only(self, store: ArtifactStore) -> None:
        for content in (b"old and long", b"new", b"", LARGE):
            store.write("a/b.txt", io.BytesIO(content))
            assert content_of(store, "a/b.txt") == content
        assert len(store.list("a")) == 1

    def test_equal_contents_live_apart(self, store: ArtifactStore) -> None:
        for path in ("one", "two"):
            store.write(path, io.BytesIO(b"same"))
        store.delete("one")
        assert content_of(store, "two") == b"same"
        store.write("two", io.BytesIO(b"changed"))
        assert content_of(store, "two") == b"changed"

    @pytest.mark.parametrize("before", [None, b"old"])
    def test_a_stream_that_breaks_off_changes_nothing(self, store: ArtifactStore, before: bytes | None) -> None:
        if before is not None:
            store.write("a/file", io.BytesIO(before))
        listed = store.list()
        with pytest.raises((ConnectionAbortedError, StoreError)):
            store.write("a/file", BreaksOff(LARGE[: 2 * 1024 * 1024]))
        assert store.list() == listed
        if before is None:
            with pytest.raises(NotFound):
                store.stat("a/file")
        else:
            assert content_of(store, "a/file") == before

    def test_a_reader_sees_the_old_content_or_the_new(self, store: ArtifactStore) -> None:
        contents = {bytes([65 + number]) * 2_000_000 for number in range(4)}
        store.write("busy", io.BytesIO(min(contents)))

        def write_or_read(number: int) -> None:
            for content in sorted(contents):
                if number % 2:
                    store.write("busy", io.BytesIO(content))
                else:
                    assert content_of(store, "busy") in contents

        assert refused(at_once(write_or_read, 4)) == []

    def test_what_many_threads_write_is_all_there(self, store: ArtifactStore) -> None:
        assert refused(at_once(lambda n: store.write(f"a/b{n % 4}/c{n}", io.BytesIO(b"%d" % n)))) == []
        assert [content_of(store, f"a/b{n % 4}/c{n}") for n in range(16)] == [b"%d" % n for n in range(16)]

    def test_what_was_not_written_is_not_found(self, store: ArtifactStore) -> None:
        store.write("folder/file", io.BytesIO(b"x"))
        for path in ("nothing", "folder", "folder/other", "folder/file/below"):
            with pytest.raises(NotFound):
                store.stat(path)
            with pytest.raises(NotFound):
                content_of(store, path)


class _FolderRules(_Files):
    def test_a_listing_shows_what_lies_directly_in_a_folder(self, store: ArtifactStore) -> None:
        for path in ("b.txt", "a/x", "a/deep/er/y", "z", "a/x2"):
            store.write(path, io.BytesIO(path.encode()))
        assert [(found.path, found.is_dir) for found in store.list()] == [("a", True), ("b.txt", False), ("z", False)]
        assert [(found.path, found.is_dir) for found in store.list("a")] == [
            ("deep", True),
            ("x", False),
            ("x2", False),
        ]
        assert [(found.path, found.is_dir) for found in store.list("a/deep")] == [("er", True)]
        (folder,) = store.list("a/deep")
        assert (folder.file_size, folder.digest) == (None, None)
        (file,) = store.list("a/deep/er")
        assert file == Artifact(path="y", file_size=11, digest=store.stat("a/deep/er/y").digest)

    def test_a_listing_is_in_the_order_of_names(self, store: ArtifactStore) -> None:
        names = ["!", "%", "-", "a", "a!", "a-b", "a.b", "a0", "aa", "b%", "b.ref", "b0", "Ä", "é"]
        for name in reversed(names):
            store.write(f"folder/{name}", io.BytesIO(b"x"))
        assert [found.path for found in store.list("folder")] == sorted(names)

    def test_a_folder_that_is_not_there_lists_nothing(self, store: ArtifactStore) -> None:
        assert store.list() == []
        store.write("file", io.BytesIO(b"x"))
        assert store.list("nothing") == []
        assert store.list("file") == []

    def test_a_file_and_a_folder_may_have_the_same_name(self, store: ArtifactStore) -> None:
        store.write("model", io.BytesIO(b"file"))
        store.write("model/data", io.BytesIO(b"below"))
        assert content_of(store, "model") == b"file"
        assert content_of(store, "model/data") == b"below"
        assert sorted(found.is_dir for found in store.list() if found.path == "model") == [False, True]

    def test_no_folder_is_in_the_way_of_a_file(self, store: ArtifactStore) -> None:
        paths = ("model", "model.ref/data", "model.ref", "model.ref.ref/data")
        for path in paths:
            store.write(path, io.BytesIO(path.encode()))
        assert [content_of(store, path) for path in paths] == [path.encode() for path in paths]

    def test_a_deleted_file_is_gone_and_its_neighbours_are_not(self, store: ArtifactStore) -> None:
        for path in ("a/x", "a/xy", "a/x.txt"):
            store.write(path, io.BytesIO(b"1"))
        store.delete("a/x")
        assert [found.path for found in store.list("a")] == ["x.txt", "xy"]
        with pytest.raises(NotFound):
            store.stat("a/x")

    def test_a_deleted_folder_is_gone_with_everything_below(self, store: ArtifactStore) -> None:
        for path in ("a/x", "a/deep/y", "ab/z"):
            store.write(path, io.BytesIO(b"1"))
        store.delete("a")
        assert [found.path for found in store.list()] == ["ab"]
        for path in ("a/x", "a/deep/y"):
            with pytest.raises(NotFound):
                store.stat(path)

    def test_deleting_what_is_not_there_is_no_error(self, store: ArtifactStore) -> None:
        store.delete("nothing")
        store.write("file", io.BytesIO(b"x"))
        for path in ("nothing", "nothing/below", "file/below"):
            store.delete(path)
        assert content_of(store, "file") == b"x"

    def test_a_deleted_path_can_be_written_again(self, store: ArtifactStore) -> None:
        for content in (b"first", b"first", b"second"):
            store.write("a/x", io.BytesIO(content))
            assert content_of(store, "a/x") == content
            store.delete("a")

    @pytest.mark.parametrize("path", OUTSIDE, ids=ascii)
    def test_a_path_that_could_lead_outside_is_refused_by_every_method(self, store: ArtifactStore, path: str) -> None:
        with pytest.raises(InvalidInput):
            store.write(path, io.BytesIO(b"x"))
        with pytest.raises(InvalidInput):
            content_of(store, path)
        with pytest.raises(InvalidInput):
            store.stat(path)
        with pytest.raises(InvalidInput):
            store.list(path)
        with pytest.raises(InvalidInput):
            store.delete(path)
        assert store.list() == []

    def test_the_root_is_no_file(self, store: ArtifactStore) -> None:
        store.write("file", io.BytesIO(b"x"))
        with pytest.raises(InvalidInput):
            store.write("", io.BytesIO(b"x"))
        with pytest.raises(InvalidInput):
            store.stat("")
        with pytest.raises(InvalidInput):
            store.delete("")
        assert content_of(store, "file") == b"x"


class ArtifactStoreContract(_ContentRules, _FolderRules):
    """Every rule for artifact stores; subclass it and give it a fixture ``store``."""


class BreaksOff(io.RawIOBase, BinaryIO):
    """A stream that yields some content and then loses its connection."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes; an error instead of the end."""
        chunk = self._content.read(size if size > 0 else 1024)
        if not chunk:
            raise ConnectionAbortedError("the line went dead")
        return chunk


def content_of(store: ArtifactStore, path: str) -> bytes:
    """The whole content of a file."""
    return b"".join(store.read(path))
