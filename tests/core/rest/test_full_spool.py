"""An outage that is longer than the disk is large: nothing is dropped without a word."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from ratoon.entities import RunStatus
from ratoon.errors import StoreError
from ratoon.manager import make_manager
from ratoon.remote import connection as connection_module
from ratoon.remote.connection import Connection
from ratoon.stores.rest.tracking import RestTrackingStore
from ratoon.tracking import outbox as outbox_module
from ratoon.tracking.client import Client

from .conftest import Server

pytestmark = pytest.mark.slow


def test_what_a_full_spool_cannot_keep_stays_in_memory_and_arrives(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    wait_until: Callable[..., None],
) -> None:
    monkeypatch.setattr(connection_module, "BUDGET_SECONDS", 0.3)
    monkeypatch.setattr(outbox_module, "REST_SECONDS", (0.2, 0.5))
    (tmp_path / ".ratoon").mkdir()
    monkeypatch.chdir(tmp_path)
    manager = make_manager(builtins=("ratoon.stores.rest.plugin", "ratoon.artifacts.plugin"), installed=False)
    client = Client(manager=manager, tracking_uri=server.uri, user="ada", spool_limit="4 kB")
    run = client.start_run(experiment="wine")
    run.log_metric("loss", 1.0, 0)
    run.flush()
    server.kill()
    with caplog.at_level(logging.WARNING):
        with pytest.raises(StoreError, match="spool .* is full .*raise the setting spool_limit"):
            for step in range(1, 1000):
                run.log_metric("loss", 1.0, step)
                run.flush()
        with pytest.raises(StoreError, match="is full"):
            run.log_text("x" * 10_000, "large.txt")
        run.log_metric("loss", 1.0, 1000)  # training goes on
        with pytest.raises(StoreError, match="is full"):
            run.end()
    assert caplog.text.count("stay in memory until then, files are refused") == 1
    assert client.outbox is not None
    spool = client.outbox.spool
    assert 1 < step < 999 and spool.path.stat().st_size <= 4500
    server.start()
    wait_until(lambda: not spool.pending)
    run.flush()
    store = RestTrackingStore(Connection(server.uri, environ={}))
    assert list(store.metric_history(run.run_id, "loss").steps) == [*range(step + 1), 1000]
    assert store.get_run(run.run_id).status == RunStatus.FINISHED
