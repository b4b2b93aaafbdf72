"""Statements that go past SQLAlchemy to the driver, on each of the databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, bindparam, select

from ratoon.errors import StoreError
from ratoon.stores.sql import tables
from ratoon.stores.sql.database import Database, insert_into
from ratoon.stores.sql.prepared import CHUNK, Prepared, PreparedByOwner

COLUMNS = tables.registered_models.c
TAGS = tables.registered_model_tags.c
ADD = Prepared(lambda connection: insert_into(connection, COLUMNS.name.table).on_conflict_do_nothing(), COLUMNS.keys())
ADD_TAG = Prepared(lambda _: TAGS.name.table.insert(), TAGS.keys())
FIND = Prepared(lambda _: select(COLUMNS.name, COLUMNS.latest_version).where(COLUMNS.name == bindparam("wanted")))
FIND_TAGS = PreparedByOwner(select(TAGS.name, TAGS.key).order_by(TAGS.key), TAGS.name)


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
        for owners in ([], names[:1], names[1:2], names):
            found = FIND_TAGS.rows(connection, owners)
            assert found == {name: [(name, "a"), (name, "b")] if name != names[0] else [] for name in owners}


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
        assert (seen is None) is (reader.dialect.name == "sqlite")
    with database.reading() as reader:
        assert FIND.first(reader, {"wanted": "wine"}) is not None


def test_what_the_driver_refuses_is_an_error_of_the_store(database: Database) -> None:
    with pytest.raises(StoreError, match="database '.*' failed .*; check that it is there"):
        with database.writing() as connection:
            ADD_TAG.run_many(connection, [{"name": "nobody", "key": "a", "value": ""}])
    with database.reading() as connection:
        assert FIND.first(connection, {"wanted": "nobody"}) is None
