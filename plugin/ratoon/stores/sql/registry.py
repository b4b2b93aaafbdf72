"""The registry on SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from ratoon.clock import now_ms
from ratoon.entities import AliasMove, ModelVersion, MoveKind, Page, RegisteredModel
from ratoon.errors import AlreadyExists, Conflict, NotFound
from ratoon.stores.limits import MAX_TAG, check_alias, check_key, check_model_name, check_text, normalised
from ratoon.stores.sql import tables
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.paging import check_limit, decode_token, page_of
from ratoon.stores.sql.reading import from_json, to_json, values_of
from ratoon.stores.sql.writing import overwrite_pairs


class SqlRegistry:
    """What is registered, in a database. See :class:`ratoon.stores.protocol.Registry` for each method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_registered_model(
        self, name: str, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Create a name; AlreadyExists if it is taken."""
        name, now = check_model_name(name), now_ms()
        _check_tags(tags or {})
        row = {"name": name, "description": description, "tags": to_json(tags or {}), "latest_version": 0}
        row |= {"creation_timestamp": now, "last_updated_timestamp": now}
        created = upsert(tables.registered_models).values(row).on_conflict_do_nothing()
        with self._database.writing() as connection:
            if not connection.execute(created.returning(tables.registered_models.c.name)).first():
                raise AlreadyExists(
                    f"model {name!r} is registered already; register a version of it, or choose another name"
                )
            return _registered(connection, name)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Read a name with its aliases; NotFound if there is none."""
        name = normalised(name)
        with self._database.reading() as connection:
            return _registered(connection, name)

    def list_registered_models(self, *, limit: int = 100, page_token: str | None = None) -> Page[RegisteredModel]:
        """All names, in alphabetical order."""
        check_limit(limit)
        column = tables.registered_models.c.name
        query = select(column).order_by(column).limit(limit + 1)
        if page_token:
            query = query.where(column > decode_token(page_token, (str,))[0])
        with self._database.reading() as connection:
            names = connection.scalars(query).all()
            found = [_registered(connection, name) for name in names]
        return page_of(found, [(name,) for name in names], limit)

    def create_version(self, version: ModelVersion) -> ModelVersion:
        """Store a version under the next free number; its ``version`` and times are ignored."""
        _check_tags(version.tags)
        version = msgspec.structs.replace(version, name=normalised(version.name))
        now = now_ms()
        parent = tables.registered_models
        # The row is locked by its own update: concurrent calls wait for each other and get consecutive numbers.
        counted = (
            update(parent)
            .where(parent.c.name == version.name)
            .values(latest_version=parent.c.latest_version + 1, last_updated_timestamp=now)
        )
        row = msgspec.structs.asdict(version) | {"creation_timestamp": now, "last_updated_timestamp": now}
        row = {name: value for name, value in row.items() if name in tables.model_versions.c.keys()}
        with self._database.writing() as connection:
            number = connection.execute(counted.returning(parent.c.latest_version)).scalar()
            if number is None:
                raise _no_model(version.name)
            connection.execute(insert(tables.model_versions).values(row | {"version": number}))
            if version.tags:
                owner = {"name": version.name, "version": number}
                overwrite_pairs(connection, tables.version_tags, owner, version.tags)
            return _version(connection, version.name, number)

    def get_version(self, name: str, version: int) -> ModelVersion:
        """Read a version; NotFound if there is none."""
        name = normalised(name)
        with self._database.reading() as connection:
            return _version(connection, name, version)

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Read the version that holds an alias; NotFound if nobody does, naming those who hold others."""
        name = normalised(name)
        with self._database.reading() as connection:
            held = _registered(connection, name).aliases
            if alias not in held:
                others = ", ".join(f"{other} → version {number}" for other, number in sorted(held.items()))
                raise NotFound(
                    f"alias {alias!r} of model {name!r} is held by no version ({others or 'it has no alias at all'});"
                    f" give it to one with 'ratoon promote {name} VERSION --alias {alias}'"
                )
            return _version(connection, name, held[alias])

    def list_versions(self, name: str, *, limit: int = 100, page_token: str | None = None) -> Page[ModelVersion]:
        """The versions of a name, newest first."""
        name = normalised(name)
        check_limit(limit)
        columns = tables.model_versions.c
        query = select(columns.version).where(columns.name == name).order_by(columns.version.desc()).limit(limit + 1)
        if page_token:
            query = query.where(columns.version < decode_token(page_token, (int,))[0])
        with self._database.reading() as connection:
            _registered(connection, name)
            numbers = connection.scalars(query).all()
            found = [_version(connection, name, number) for number in numbers]
        return page_of(found, [(number,) for number in numbers], limit)

    def set_version_tags(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """Add or overwrite tags of a version: the only part of it that may change."""
        name = normalised(name)
        _check_tags(tags)
        with self._database.writing() as connection:
            _version(connection, name, version)
            overwrite_pairs(connection, tables.version_tags, {"name": name, "version": version}, tags)

    def move_alias(self, move: AliasMove) -> None:
        """Move an alias by compare-and-set and keep the move in its history, in one transaction."""
        check_alias(move.alias)
        move = msgspec.structs.replace(move, name=normalised(move.name))
        with self._database.writing() as connection:
            holder = _registered(connection, move.name).aliases.get(move.alias)
            if holder != move.from_version:
                raise Conflict(
                    f"alias {move.alias!r} of model {move.name!r} was moved meanwhile: {_said(holder)} holds it, not"
                    f" {_said(move.from_version)}; look at the new holder and decide again"
                )
            if move.to_version is not None:
                _version(connection, move.name, move.to_version)
            if move.kind != MoveKind.REFUSED:
                _hand_over(connection, move)
            row = msgspec.structs.asdict(move) | {"verdicts": to_json(move.verdicts)}
            connection.execute(insert(tables.alias_moves).values(row))

    def alias_history(self, name: str, alias: str) -> list[AliasMove]:
        """Every move of an alias, oldest first."""
        name = normalised(name)
        table = tables.alias_moves
        query = select(table).where(table.c.name == name, table.c.alias == alias).order_by(table.c.move_pk)
        with self._database.reading() as connection:
            _registered(connection, name)
            rows = connection.execute(query).all()
        return [msgspec.convert(values_of(row) | {"verdicts": from_json(row.verdicts)}, AliasMove) for row in rows]


def _check_tags(tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        check_key("tag", key)
        check_text(f"value of tag {key!r}", value, MAX_TAG)


def _no_model(name: str) -> NotFound:
    return NotFound(f"model {name!r} is not registered; list the models with 'ratoon models'")


def _said(version: int | None) -> str:
    return "nobody" if version is None else f"version {version}"


def _registered(connection: Connection, name: str) -> RegisteredModel:
    table = tables.registered_models
    row = connection.execute(select(table).where(table.c.name == name)).first()
    if row is None:
        raise _no_model(name)
    held = connection.execute(select(tables.aliases).where(tables.aliases.c.name == name).order_by("alias"))
    parts = {"tags": from_json(row.tags), "aliases": {each.alias: each.version for each in held}}
    return msgspec.convert(values_of(row) | parts, RegisteredModel)


def _version(connection: Connection, name: str, number: int) -> ModelVersion:
    def of(columns: Any) -> ColumnElement[bool]:
        found: ColumnElement[bool] = (columns.name == name) & (columns.version == number)
        return found

    row = connection.execute(select(tables.model_versions).where(of(tables.model_versions.c))).first()
    if row is None:
        newest = _registered(connection, name).latest_version
        raise NotFound(
            f"version {number} of model {name!r} does not exist (the newest is {newest}); choose another one"
        )
    tags = connection.execute(select(tables.version_tags).where(of(tables.version_tags.c)))
    held = connection.scalars(select(tables.aliases.c.alias).where(of(tables.aliases.c)).order_by("alias"))
    parts = {"tags": {tag.key: tag.value for tag in tags}, "aliases": tuple(held)}
    return msgspec.convert(values_of(row) | parts, ModelVersion)


def _hand_over(connection: Connection, move: AliasMove) -> None:
    if move.to_version is None:
        columns = tables.aliases.c
        connection.execute(delete(tables.aliases).where(columns.name == move.name, columns.alias == move.alias))
        return
    row = {"name": move.name, "alias": move.alias, "version": move.to_version}
    statement = upsert(tables.aliases).values(row)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name", "alias"], set_={"version": move.to_version})
    )
