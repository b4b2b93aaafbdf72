"""The stores behind ratoon's own server keep the contracts that the stores on this machine keep."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratoon.artifacts.remote import RemoteArtifactStore
from ratoon.entities import Query
from ratoon.manager import make_manager
from ratoon.remote.connection import Connection
from ratoon.stores.rest.registry import RestRegistry
from ratoon.stores.rest.tracking import RestTrackingStore
from ratoon.stores.sql.database import open_database
from ratoon.testing import ArtifactStoreContract, Limit, RegistryContract, TrackingStoreContract
from ratoon.testing.values import model_of, run_of
from ratoon.tracking.client import Client

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
    """Unlike a store, a server lets nobody send files to a place that it does not keep."""

    limits = frozenset({Limit.PLACES})

    @pytest.fixture
    def store(self, connection: Connection) -> RestTrackingStore:
        return RestTrackingStore(connection)


class TestRegistry(RegistryContract):
    """A server takes no version of a model that it does not have, or of a place that it does not keep."""

    limits = frozenset({Limit.SOURCES})

    @pytest.fixture
    def store(self, connection: Connection) -> RestRegistry:
        return RestRegistry(connection)

    @pytest.fixture
    def model_id(self, connection: Connection) -> str:
        tracking = RestTrackingStore(connection)
        run = tracking.create_run(run_of(tracking.create_experiment("wine").experiment_id))
        return tracking.create_model(model_of(run)).model_id

    def test_the_run_of_a_version_is_that_of_its_model(
        self, store: RestRegistry, connection: Connection, wine: str, model_id: str
    ) -> None:
        run_id = RestTrackingStore(connection).get_model(model_id).source_run_id
        assert store.get_version(wine, 1).run_id == run_id
        found = store.search_versions(Query(filter=f"run_id = '{run_id}'")).items
        assert [each.version for each in found] == [3, 2, 1]


class TestArtifacts(ArtifactStoreContract):
    @pytest.fixture
    def store(self, connection: Connection) -> RemoteArtifactStore:
        return RemoteArtifactStore(connection)
