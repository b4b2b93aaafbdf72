from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import ratoon.stores.sql
from ratoon.entities import RunBatch
from ratoon.errors import InvalidInput, RatoonError, StoreError
from ratoon.stores.protocol import Registry, TrackingStore
from ratoon.stores.sql import tables
from ratoon.stores.sql.database import SCHEMA, Database, open_database
from ratoon.stores.sql.plugin import open_registry, open_tracking_store
from ratoon.stores.sql.registry import SqlRegistry
from ratoon.stores.sql.tracking import SqlTrackingStore
from ratoon.testing import RegistryContract, TrackingStoreContract
from ratoon.testing.values import model_of, point, run_of, version_of


class TestSqlTrackingStore(TrackingStoreContract):
    @pytest.fixture
    def store(self, database: Database) -> TrackingStore:
        return SqlTrackingStore(database)


class TestSqlRegistry(RegistryContract):
    @pytest.fixture
    def store(self, database: Database) -> Registry:
        return SqlRegistry(database)


class TestTrackingStoreOnPostgresql(TrackingStoreContract):
    @pytest.fixture
    def store(self, postgresql_database: Database) -> TrackingStore:
        return SqlTrackingStore(postgresql_database)


class TestRegistryOnPostgresql(RegistryContract):
    @pytest.fixture
    def store(self, postgresql_database: Database) -> Registry:
        return SqlRegistry(postgresql_database)


@pytest.fixture
def file(database: Database) -> Iterator[sqlite3.Connection]:
    """The database's file, opened without ratoon."""
    connection = sqlite3.connect(database.uri.removeprefix("sqlite:///"), isolation_level=None)
    yield connection
    connection.close()


def test_the_stores_are_opened_for_sqlite_uris_only(uri: str) -> None:
    assert isinstance(open_tracking_store(uri), SqlTrackingStore)
    assert isinstance(open_registry(uri), SqlRegistry)
    assert open_tracking_store("https://example.org") is None
    assert open_registry("/a/folder") is None
    open_database(uri).close()


def test_the_settings_of_sqlite_are_durable_ones(database: Database) -> None:
    with database.reading() as connection:
        values = {
            name: connection.driver.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_the_schema_number_is_that_of_the_newest_migration() -> None:
    folder = Path(ratoon.stores.sql.__path__[0]) / "migrations"
    assert ScriptDirectory(str(folder)).get_heads() == [SCHEMA]


def test_the_migrations_make_exactly_the_tables_that_the_code_sees(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(
            connection.core, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, tables.metadata) == []
        found = set(sqlalchemy.inspect(connection.core).get_table_names())
    assert found == set(tables.metadata.tables) | {"alembic_version"}


def test_the_tables_without_row_numbers_have_none(file: sqlite3.Connection) -> None:
    wanted = {table.name for table in tables.metadata.tables.values() if not table.kwargs["sqlite_with_rowid"]}
    found = {name for name, sql in file.execute("SELECT name, sql FROM sqlite_master") if "WITHOUT ROWID" in str(sql)}
    assert found == wanted


def test_a_database_of_another_schema_is_refused(database: Database, file: sqlite3.Connection) -> None:
    file.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=rf"has the schema 9999, this ratoon needs {SCHEMA}; upgrade ratoon"):
        Database(database.uri)


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("these are my notes, " * 100)
    with pytest.raises(StoreError, match="notes.db' failed .*not a database") as caught:
        Database(f"sqlite:///{tmp_path / 'notes.db'}")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "notes.db").read_text().startswith("these are my notes")


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "ratoon.db", tmp_path):
        with pytest.raises(StoreError, match="; check that it is there, its owner") as caught:
            Database(f"sqlite:///{path}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["sqlite:///", "sqlite://", "sqlite:///:memory:", "sqlite:x.db", "", "postgresql:", "x"]
)
def test_a_uri_that_names_no_database_is_refused(uri: str) -> None:
    with pytest.raises(InvalidInput, match="; give sqlite:///"):
        Database(uri)


def test_a_folder_of_ratoon_hides_itself_from_git(tmp_path: Path) -> None:
    for folder in (tmp_path / ".ratoon", tmp_path / "data"):
        Database(f"sqlite:///{folder / 'ratoon.db'}").close()
    assert (tmp_path / ".ratoon" / ".gitignore").read_text() == "*\n"
    assert not (tmp_path / "data" / ".gitignore").exists()


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / ".ratoon"
    folder.mkdir()
    Database(f"sqlite:///{folder / 'ratoon.db'}").close()
    assert not (folder / ".gitignore").exists()


def test_a_path_may_hold_any_letter(tmp_path: Path) -> None:
    folder = tmp_path / "100% Größe [x]"
    store = SqlTrackingStore(database := Database(f"sqlite:///{folder / 'r.db'}"))
    assert store.create_experiment("wine") == store.find_experiment("wine")
    database.close()
    assert (folder / "r.db").is_file()


def test_a_database_is_opened_once_in_a_process(uri: str) -> None:
    assert open_database(uri) is open_database(uri)
    open_database(uri).close()


def test_a_closed_database_opens_again(database: Database) -> None:
    store = SqlTrackingStore(database)
    created = store.create_experiment("wine")
    database.close()
    assert store.get_experiment(created.experiment_id) == created


def test_what_is_stored_survives_the_process_that_stored_it(database: Database) -> None:
    created = SqlTrackingStore(database).create_experiment("wine")
    database.close()
    again = Database(database.uri)
    assert SqlTrackingStore(again).get_experiment(created.experiment_id) == created
    again.close()


def test_a_damaged_database_is_reported_in_one_line(database: Database) -> None:
    store = SqlTrackingStore(database)
    store.create_experiment("wine")
    database.close()
    path = Path(database.uri.removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="failed") as caught:
        store.find_experiment("wine")
    assert "\n" not in str(caught.value)


def test_the_smallest_and_largest_value_of_a_metric_are_kept(database: Database, file: sqlite3.Connection) -> None:
    store = SqlTrackingStore(database)
    run = store.create_run(run_of(store.create_experiment("wine").experiment_id))

    def extremes() -> tuple[float | None, float | None]:
        found: tuple[float | None, float | None] = file.execute("SELECT minimum, maximum FROM metrics").fetchone()
        return found

    seen = []
    for number, value in enumerate([float("nan"), 3.0, 5.0, -1.0, float("nan"), float("inf")]):
        store.log_batch(RunBatch(run_id=run.run_id, metrics=(point("m", value, number),)))
        seen.append(extremes())
    inf = float("inf")
    assert seen == [(None, None), (3.0, 3.0), (3.0, 5.0), (-1.0, 5.0), (-1.0, 5.0), (-1.0, inf)]


def test_text_and_numbers_that_sqlite_cannot_hold_are_refused_by_every_call(database: Database) -> None:
    store, registry = SqlTrackingStore(database), SqlRegistry(database)
    home = store.create_experiment("wine").experiment_id
    run = store.create_run(run_of(home))
    registry.create_registered_model("wine")
    calls = [
        lambda: store.get_run("\ud800"),
        lambda: store.create_run(run_of(home, user_id="\ud800")),
        lambda: store.create_run(run_of(home, start_time=2**63)),
        lambda: store.update_run(run.run_id, end_time=2**63),
        lambda: store.create_model(model_of(run, model_type="\ud800")),
        lambda: registry.get_registered_model("\ud800"),
        lambda: registry.get_version("wine", 2**63),
        lambda: registry.create_version(version_of("wine", description="\ud800")),
        lambda: registry.create_registered_model("beer", "\ud800"),
    ]
    for call in calls:
        with pytest.raises(RatoonError):
            call()
    assert store.search_runs().items == (run,)
    assert registry.get_registered_model("wine").latest_version == 0


def test_processes_that_start_on_one_new_file_lose_nothing(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'new' / 'ratoon.db'}"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_a_run, args=(uri, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    database = Database(uri)
    store, registry = SqlTrackingStore(database), SqlRegistry(database)
    runs = store.search_runs().items
    assert len(runs) == 8
    for run in runs:
        assert (len(run.params), len(store.metric_history(run.run_id, "m"))) == (20, 20)
    versions = [version.version for version in registry.search_versions().items]
    assert versions == list(range(40, 0, -1))
    database.close()


def _write_a_run(uri: str, number: int) -> None:
    from ratoon.errors import AlreadyExists

    store, registry = SqlTrackingStore(open_database(uri)), SqlRegistry(open_database(uri))
    for create in (store.create_experiment, registry.create_registered_model):
        try:
            create("wine")
        except AlreadyExists:
            continue
    home = store.find_experiment("wine")
    assert home is not None
    run = store.create_run(run_of(home.experiment_id, start_time=number))
    for step in range(20):
        batch = RunBatch(run_id=run.run_id, metrics=(point("m", 1.0, step),), params={f"p{step}": "x"})
        store.log_batch(batch)
        if step % 4 == 0:
            registry.create_version(version_of("wine"))
