"""The stores that go with their process keep the same contracts as those that stay."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from ratoon.errors import InvalidInput
from ratoon.stores.memory import open_registry, open_tracking_store
from ratoon.stores.protocol import Registry, TrackingStore
from ratoon.testing import RegistryContract, TrackingStoreContract
from ratoon.tracking.client import Client


class TestTracking(TrackingStoreContract):
    @pytest.fixture
    def store(self) -> TrackingStore:
        store = open_tracking_store(f"memory:{uuid.uuid4().hex}")
        assert store is not None
        return store


class TestRegistry(RegistryContract):
    @pytest.fixture
    def store(self) -> Registry:
        store = open_registry(f"memory:{uuid.uuid4().hex}")
        assert store is not None
        return store


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
