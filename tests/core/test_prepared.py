"""Statements that are executed by the driver itself, on each of the databases."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import ratoon.stores.sql
from ratoon.errors import StoreError
from ratoon.stores.sql.connection import Connection
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.prepared import CHUNK, Prepared, PreparedByOwner, PreparedForKeys, insertion

COLUMNS = ("name", "description", "creation_timestamp", "last_updated_timestamp", "latest_version")
ADD = Prepared(f"{insertion('registered_models', COLUMNS)} ON CONFLICT DO NOTHING")
ADD_TAG = Prepared(insertion("registered_model_tags", ("name", "key", "value")))
FIND = Prepared("SELECT name, latest_version FROM registered_models WHERE name = :wanted", lock="FOR SHARE")
FIND_TAGS = PreparedByOwner("SELECT name, key FROM registered_model_tags WHERE name IN :keys ORDER BY key")
TAGS_BY_KEY = PreparedByOwner("SELECT name, key, value FROM registered_model_tags WHERE (name, key) IN :keys", width=2)
COUNT = PreparedForKeys("SELECT name FROM registered_models WHERE latest_version = :version AND name IN :keys")
DELETE = PreparedForKeys("DELETE FROM registered_models WHERE latest_version = :version AND name IN :keys")

# Words of statements that are meant for the other database, or make no sense of NULL.
OF_ONE = {"sqlite": ("ANY(", "pg_class"), "postgresql": ("sqlite_master", "IN (VALUES")}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    database = Database(request.getfixturevalue("uri" if request.param == "sqlite" else "postgresql_uri"))
    yield database
    database.close()


def add(connection: Connection, *names: str) -> int:
    empty = {"description": "", "creation_timestamp": 0, "last_updated_timestamp": 0, "latest_version": 3}
    return ADD.run_many(connection, [empty | {"name": name} for name in names])


def test_rows_have_names(database: Database) -> None:
    with database.writing() as connection:
        assert add(connection, "wine", "beer") == 2
    with database.reading() as connection:
        found = FIND.first(connection, {"wanted": "wine"})
        assert (found.name, found.latest_version, found) == ("wine", 3, ("wine", 3))
        assert FIND.first(connection, {"wanted": "milk"}) is None
        assert FIND.rows(connection, {"wanted": "beer"}) == [("beer", 3)]


def test_the_rows_that_were_written_are_counted(database: Database) -> None:
    with database.writing() as connection:
        assert [add(connection, "a", "b"), add(connection, "b", "c", "d"), add(connection, "a")] == [2, 2, 0]


def test_rows_by_owner(database: Database) -> None:
    names = [f"n{number:04}" for number in range(CHUNK + 2)]
    with database.writing() as connection:
        add(connection, *names)
        ADD_TAG.run_many(connection, [{"name": name, "key": key, "value": ""} for name in names[1:] for key in "ba"])
        for owners in ([], names[:1], names[1:2], names[:3], names):
            found = FIND_TAGS.rows(connection, owners)
            assert found == {name: [(name, "a"), (name, "b")] if name != names[0] else [] for name in owners}


@pytest.mark.parametrize("count", [0, 1, 2, 3, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_a_statement_about_many_keys(database: Database, count: int) -> None:
    names = [f"n{number:04}" for number in range(count)]
    with database.writing() as connection:
        ADD.run_many(connection, [])
        add(connection, *names, "other")
        found = COUNT.rows(connection, names, {"version": 3})
        assert sorted(row.name for row in found) == names
        assert COUNT.rows(connection, names, {"version": 4}) == []
        DELETE.run(connection, names, {"version": 4})
        DELETE.run(connection, names[1:], {"version": 3})
        assert [row.name for row in COUNT.rows(connection, [*names, "other"], {"version": 3})] == [*names[:1], "other"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, CHUNK + 1])
def test_a_statement_about_keys_of_several_values(database: Database, count: int) -> None:
    tags = [("wine", f"n{number:04}") for number in range(count)]
    with database.writing() as connection:
        add(connection, "wine", "beer")
        ADD_TAG.run_many(connection, [{"name": name, "key": key, "value": key} for name, key in tags])
        found = TAGS_BY_KEY.rows(connection, [*tags, ("beer", "n0000")])
        assert found == {tag: [(*tag, tag[1])] for tag in tags} | {("beer", "n0000"): []}


def test_a_statement_belongs_to_the_transaction(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        add(connection, "wine")
        raise ZeroDivisionError
    # One look after the other sees the same, whatever others write meanwhile; PostgreSQL promises that to no reader.
    with database.reading() as reader:
        assert FIND.first(reader, {"wanted": "wine"}) is None
        with database.writing() as connection:
            add(connection, "wine")
        seen = FIND.first(reader, {"wanted": "wine"})
        assert (seen is None) is (reader.dialect == "sqlite")
    with database.reading() as reader:
        assert FIND.first(reader, {"wanted": "wine"}) is not None


def test_what_the_driver_refuses_is_an_error_of_the_store(database: Database) -> None:
    with pytest.raises(StoreError, match="database '.*' failed .*; check that it is there"):
        with database.writing() as connection:
            ADD_TAG.run_many(connection, [{"name": "nobody", "key": "a", "value": ""}])
    with database.reading() as connection:
        assert FIND.first(connection, {"wanted": "nobody"}) is None


def test_every_statement_names_tables_and_columns_that_are_there(database: Database) -> None:
    """What stands in them is text, which nothing else compares with the tables."""
    for module in pkgutil.iter_modules(ratoon.stores.sql.__path__):
        importlib.import_module(f"ratoon.stores.sql.{module.name}")
    # By type(): other libraries' objects need not like to be asked for their class.
    objects = gc.get_objects()
    found: list[Any] = [each for each in objects if issubclass(type(each), PreparedForKeys)]
    statements: list[Any] = [each for each in objects if issubclass(type(each), Prepared)]
    statements += [each._prepare(size)[0] for each in found for size in (0, 1, 2)]
    assert len(found) > 20 and len(statements) > 80
    with database.reading() as connection:
        for statement in statements:
            text = statement.text(connection.dialect)
            if any(word in text for word in OF_ONE[connection.dialect]):
                continue
            names = re.findall(r":(\w+)" if connection.dialect == "sqlite" else r"%\((\w+)\)s", text)
            connection.driver.execute(f"EXPLAIN {text}", dict.fromkeys(names)).fetchall()
