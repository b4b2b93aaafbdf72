"""The stores behind ratoon's own server keep the contracts that the stores on this machine keep."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratoon.artifacts.remote import RemoteArtifactStore
from ratoon.entities import Query, Run
from ratoon.errors import InvalidInput
from ratoon.manager import make_manager
from ratoon.remote.connection import Connection
from ratoon.stores.protocol import Registry, TrackingStore
from ratoon.stores.rest.registry import RestRegistry
from ratoon.stores.rest.tracking import RestTrackingStore
from ratoon.stores.sql.database import open_database
from ratoon.testing import ArtifactStoreContract, RegistryContract, TrackingStoreContract
from ratoon.testing.paging import walk
from ratoon.testing.values import model_of, run_of, version_of
from ratoon.tracking.client import Client

MODEL_ID = f"m-{'0' * 32}"  # of version_of
PLUGINS = ("ratoon.stores.sql.plugin", "ratoon.artifacts.plugin")


@pytest.fixture
def connection(tmp_path: Path, empty_database: Path) -> Iterator[Connection]:
    """A connection to a new server, in a thread: a process for each of so many rules would take too long."""
    import uvicorn

    from ratoon.listening import listen
    from ratoon.server.app import make_app

    shutil.copyfile(empty_database, tmp_path / "ratoon.db")
    uri = f"sqlite:///{tmp_path / 'ratoon.db'}"
    manager = make_manager(builtins=PLUGINS, installed=False)
    client = Client(tracking_uri=uri, artifact_root=str(tmp_path / "files"), manager=manager)
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        config = uvicorn.Config(make_app(client, allowed_hosts={"127.0.0.1"}), lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        connection = Connection(f"http://127.0.0.1:{port}", environ={})
        yield connection
        connection.client.close()
        server.should_exit = True
        thread.join(timeout=30)
    open_database(uri).close()


class TestTracking(TrackingStoreContract):
    @pytest.fixture
    def store(self, connection: Connection) -> RestTrackingStore:
        return RestTrackingStore(connection)

    def test_an_experiment_keeps_its_own_place_for_files(self, store: TrackingStore) -> None:
        """Unlike a store, a server lets nobody send files to a place that it does not keep."""
        with pytest.raises(InvalidInput, match="s3://bucket/far"):
            store.create_experiment("far", artifact_location="s3://bucket/far")
        made = store.create_experiment("near", artifact_location="mlflow-artifacts:/near")
        assert store.get_experiment(made.experiment_id).artifact_location == "mlflow-artifacts:/near"


class TestRegistry(RegistryContract):
    """A server takes no version of a model that it does not have, or of a place that it does not keep."""

    @pytest.fixture
    def run(self, connection: Connection) -> Run:
        """A run that logged the model which the rules register."""
        tracking = RestTrackingStore(connection)
        run = tracking.create_run(run_of(tracking.create_experiment("wine").experiment_id))
        tracking.create_model(model_of(run, model_id=MODEL_ID))
        return run

    @pytest.fixture
    def store(self, connection: Connection, run: Run) -> RestRegistry:
        return RestRegistry(connection)

    def test_a_version_reads_back_equal(self, store: Registry, wine: str, run: Run) -> None:  # type: ignore[override]
        text = {"description": "Größe \N{SEEDLING}", "tags": {"note": "first", "empty": ""}}
        created = store.create_version(version_of(wine, run_id=run.run_id, model_id=MODEL_ID, **text))
        assert (created.version, created.run_id, created.model_id) == (4, run.run_id, MODEL_ID)
        assert (created.description, created.tags) == (text["description"], text["tags"])
        assert store.get_version(wine, 4) == created

    def test_versions_are_searched(self, store: Registry, wine: str, run: Run) -> None:  # type: ignore[override]
        with pytest.raises(InvalidInput, match="s3://b/model"):
            store.create_version(version_of(wine, source="s3://b/model"))
        store.update_version(wine, 2, tags={"a": "1"})
        for asked, order, wanted in (
            (f"run_id = '{run.run_id}'", (), [3, 2, 1]),
            ("name = 'wine' AND version_number < 3", ("version_number ASC",), [1, 2]),
            ("tags.a = '1'", (), [2]),
        ):
            found = walk(store.search_versions, 1, query=Query(filter=asked, order_by=order))
            assert [version.version for version in found] == wanted


class TestArtifacts(ArtifactStoreContract):
    @pytest.fixture
    def store(self, connection: Connection) -> RemoteArtifactStore:
        return RemoteArtifactStore(connection)
