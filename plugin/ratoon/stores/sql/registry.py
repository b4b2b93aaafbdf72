"""The registry on SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, update
from sqlalchemy.exc import IntegrityError

from ratoon.clock import now_ms
from ratoon.entities import AliasMove, ModelVersion, MoveKind, Page, Query, RegisteredModel
from ratoon.errors import AlreadyExists, Conflict, NotFound
from ratoon.stores.limits import (
    MAX_TEXT,
    MAX_USER,
    check_alias,
    check_int64,
    check_model_name,
    check_stage,
    check_tags,
    check_text,
    check_version,
    normalised,
)
from ratoon.stores.protocol import EVERYTHING, TagChanges
from ratoon.stores.sql import tables
from ratoon.stores.sql.database import insert_into
from ratoon.stores.sql.part import SqlPart
from ratoon.stores.sql.reading import to_json
from ratoon.stores.sql.registered import (
    MODELS,
    VERSIONS,
    lock_model,
    read_alias_moves,
    read_model,
    read_models,
    read_version,
    read_versions,
)
from ratoon.stores.sql.searching import ask, search
from ratoon.stores.sql.writing import change_pairs, overwrite_pairs


class SqlRegistry(SqlPart):
    """What is registered, in a database. See :class:`ratoon.stores.protocol.Registry` for each method."""

    def create_registered_model(
        self, name: str, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Create a name; AlreadyExists if it is taken."""
        name, now = check_model_name(name), now_ms()
        check_text("description", description, MAX_TEXT)
        check_tags(tags or {})
        row = {"name": name, "description": description, "latest_version": 0}
        row |= {"creation_timestamp": now, "last_updated_timestamp": now}
        with self._database.writing() as connection:
            created = insert_into(connection, tables.registered_models).values(row).on_conflict_do_nothing()
            if not connection.execute(created.returning(tables.registered_models.c.name)).first():
                raise AlreadyExists(
                    f"model {name!r} is registered already; register a version of it, or choose another name"
                )
            overwrite_pairs(connection, tables.registered_model_tags, {"name": name}, tags or {})
            return read_model(connection, name)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Read a name with its aliases; NotFound if there is none."""
        with self._database.reading() as connection:
            return read_model(connection, normalised(name))

    def update_registered_model(
        self, name: str, *, new_name: str | None = None, description: str | None = None, tags: TagChanges | None = None
    ) -> RegisteredModel:
        """Change what is given; AlreadyExists if the new name is taken."""
        name, changes = normalised(name), _described(description)
        check_tags(tags or {})
        if new_name is not None:
            changes["name"] = check_model_name(new_name)
        with self._database.writing() as connection:
            lock_model(connection, name)
            change_pairs(connection, tables.registered_model_tags, {"name": name}, tags or {})
            try:
                # Versions, tags, aliases and their history follow: the foreign keys see to it.
                _touch(connection, name, changes)
            except IntegrityError as error:
                raise AlreadyExists(f"model {new_name!r} is registered already; choose another name") from error
            return read_model(connection, str(changes.get("name", name)))

    def delete_registered_model(self, name: str) -> None:
        """Delete a name with its versions, aliases and history; NotFound if there is none."""
        name, columns = normalised(name), tables.registered_models.c
        with self._database.writing() as connection:
            lock_model(connection, name)
            connection.execute(delete(tables.registered_models).where(columns.name == name))

    def search_registered_models(self, query: Query = EVERYTHING) -> Page[RegisteredModel]:
        """Names that fulfil a query, in alphabetical order unless it says otherwise."""
        asked = ask(MODELS, query)
        with self._database.reading() as connection:
            rows, token = search(connection, MODELS, asked)
            return Page(tuple(read_models(connection, rows)), token)

    def create_version(self, version: ModelVersion) -> ModelVersion:
        """Store a version under the next free number; its ``version`` and times are ignored."""
        check_version(version)
        check_stage(version.current_stage)
        version = msgspec.structs.replace(version, name=normalised(version.name))
        parent = tables.registered_models
        counted = update(parent).where(parent.c.name == version.name).values(latest_version=parent.c.latest_version + 1)
        row = {name: getattr(version, name) for name in tables.model_versions.c.keys()}
        with self._database.writing() as connection:
            # Concurrent calls wait here for each other: numbers are consecutive, and times rise with them.
            lock_model(connection, version.name)
            number = connection.execute(counted.returning(parent.c.latest_version)).scalar_one()
            now = now_ms()
            row |= {"version": number, "creation_timestamp": now, "last_updated_timestamp": now}
            connection.execute(insert(tables.model_versions).values(row))
            _touch(connection, version.name, {})
            overwrite_pairs(connection, tables.version_tags, {"name": version.name, "version": number}, version.tags)
            return read_version(connection, version.name, number)

    def get_version(self, name: str, version: int) -> ModelVersion:
        """Read a version; NotFound if there is none."""
        with self._database.reading() as connection:
            return read_version(connection, normalised(name), version)

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Read the version that holds an alias; NotFound if nobody does, naming those who hold others."""
        name = normalised(name)
        with self._database.reading() as connection:
            held = read_model(connection, name).aliases
            if alias not in held:
                others = ", ".join(f"{other} → version {number}" for other, number in sorted(held.items()))
                raise NotFound(
                    f"alias {alias!r} of model {name!r} is held by no version ({others or 'it has no alias at all'});"
                    f" give it to one with 'ratoon promote {name} VERSION --alias {alias}'"
                )
            return read_version(connection, name, held[alias])

    def search_versions(self, query: Query = EVERYTHING) -> Page[ModelVersion]:
        """Versions that fulfil a query, the newest first unless it says otherwise."""
        asked = ask(VERSIONS, query)
        with self._database.reading() as connection:
            rows, token = search(connection, VERSIONS, asked)
            return Page(tuple(read_versions(connection, rows)), token)

    def update_version(
        self,
        name: str,
        version: int,
        *,
        description: str | None = None,
        stage: str | None = None,
        tags: TagChanges | None = None,
    ) -> ModelVersion:
        """Change what is said about a version; what it consists of never changes."""
        name, changes = normalised(name), _described(description)
        check_tags(tags or {})
        if stage is not None:
            changes["current_stage"] = check_stage(stage)
        columns = tables.model_versions.c
        with self._database.writing() as connection:
            lock_model(connection, name)
            read_version(connection, name, version)
            changes["last_updated_timestamp"] = now_ms()
            found = (columns.name == name) & (columns.version == version)
            connection.execute(update(tables.model_versions).where(found).values(changes))
            change_pairs(connection, tables.version_tags, {"name": name, "version": version}, tags or {})
            return read_version(connection, name, version)

    def delete_version(self, name: str, version: int) -> None:
        """Delete a version and its aliases; NotFound if there is none."""
        name, columns = normalised(name), tables.model_versions.c
        with self._database.writing() as connection:
            lock_model(connection, name)
            read_version(connection, name, version)
            found = (columns.name == name) & (columns.version == version)
            connection.execute(delete(tables.model_versions).where(found))
            _touch(connection, name, {})

    def move_alias(self, move: AliasMove) -> None:
        """Move an alias by compare-and-set and keep the move in its history, in one transaction."""
        check_alias(move.alias)
        check_text("reason", move.reason, MAX_TEXT)
        check_text("user", move.moved_by, MAX_USER)
        check_int64("time of the move", move.timestamp)
        move = msgspec.structs.replace(move, name=normalised(move.name))
        with self._database.writing() as connection:
            lock_model(connection, move.name)
            holder = read_model(connection, move.name).aliases.get(move.alias)
            if holder != move.from_version:
                raise Conflict(
                    f"alias {move.alias!r} of model {move.name!r} was moved meanwhile: {_said(holder)} holds it, not"
                    f" {_said(move.from_version)}; look at the new holder and decide again"
                )
            if move.to_version is not None:
                read_version(connection, move.name, move.to_version)
            if move.kind != MoveKind.REFUSED:
                _hand_over(connection, move)
            row = msgspec.structs.asdict(move) | {"verdicts": to_json(move.verdicts)}
            connection.execute(insert(tables.alias_moves).values(row))

    def alias_history(self, name: str, alias: str | None = None) -> list[AliasMove]:
        """Every move of an alias, or of all that a name ever had, oldest first."""
        with self._database.reading() as connection:
            return read_alias_moves(connection, normalised(name), alias)


def _described(description: str | None) -> dict[str, object]:
    if description is None:
        return {}
    check_text("description", description, MAX_TEXT)
    return {"description": description}


def _touch(connection: Connection, name: str, changes: Mapping[str, object]) -> None:
    table = tables.registered_models
    changed: dict[str, Any] = {**changes, "last_updated_timestamp": now_ms()}
    connection.execute(update(table).where(table.c.name == name).values(changed))


def _said(version: int | None) -> str:
    return "nobody" if version is None else f"version {version}"


def _hand_over(connection: Connection, move: AliasMove) -> None:
    if move.to_version is None:
        columns = tables.aliases.c
        connection.execute(delete(tables.aliases).where(columns.name == move.name, columns.alias == move.alias))
        return
    row = {"name": move.name, "alias": move.alias, "version": move.to_version}
    statement = insert_into(connection, tables.aliases).values(row)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name", "alias"], set_={"version": move.to_version})
    )
