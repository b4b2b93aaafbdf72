"""The stores that go with their process keep the same contracts as those that stay."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratoon.errors import InvalidInput
from ratoon.stores import memory
from ratoon.stores.memory import open_registry, open_tracking_store
from ratoon.stores.protocol import Registry, TrackingStore
from ratoon.testing import RegistryContract, TrackingStoreContract
from ratoon.tracking.client import Client


def close(uri: str) -> None:
    """Close what a store that lives as long as its process keeps open, because hundreds of them come after it."""
    memory._database(uri)[1].close()


class TestTracking(TrackingStoreContract):
    @pytest.fixture
    def store(self) -> Iterator[TrackingStore]:
        uri = f"memory:{uuid.uuid4().hex}"
        store = open_tracking_store(uri)
        assert store is not None
        yield store
        close(uri)


class TestRegistry(RegistryContract):
    @pytest.fixture
    def store(self) -> Iterator[Registry]:
        uri = f"memory:{uuid.uuid4().hex}"
        store = open_registry(uri)
        assert store is not None
        yield store
        close(uri)


def test_a_client_keeps_everything_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    client = Client(tracking_uri="memory:whole")
    with client.start_run() as run:
        run.log_metric("auc", 0.5)
        run.log_text("kept", "notes.txt")
    again = Client(tracking_uri="memory:whole")
    assert again.tracking.get_run(run.run_id).metrics["auc"].value == 0.5
    assert b"".join(again.artifacts.read(f"0/{run.run_id}/artifacts/notes.txt")) == b"kept"
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_paths_are_refused() -> None:
    with pytest.raises(InvalidInput, match="memory: or memory:name"):
        open_tracking_store("memory:../x")
