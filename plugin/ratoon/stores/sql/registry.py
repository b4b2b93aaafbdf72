"""The registry on SQL."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import msgspec

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
from ratoon.stores.sql.connection import Connection
from ratoon.stores.sql.pairs import REGISTERED_MODEL_TAGS, VERSION_TAGS
from ratoon.stores.sql.part import SqlPart
from ratoon.stores.sql.prepared import Prepared, assignments, insertion
from ratoon.stores.sql.reading import to_json
from ratoon.stores.sql.registered import (
    lock_model,
    read_alias_moves,
    read_model,
    read_models,
    read_version,
    read_versions,
)


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
            if _CREATE_MODEL.first(connection, row) is None:
                raise AlreadyExists(
                    f"model {name!r} is registered already; register a version of it, or choose another name"
                )
            REGISTERED_MODEL_TAGS.put(connection, {"name": name}, tags or {})
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
            REGISTERED_MODEL_TAGS.change(connection, {"name": name}, tags or {})
            try:
                # Versions, tags, aliases and their history follow: the foreign keys see to it.
                _touch(connection, name, changes)
            except connection.driver.IntegrityError as error:
                raise AlreadyExists(f"model {new_name!r} is registered already; choose another name") from error
            return read_model(connection, str(changes.get("name", name)))

    def delete_registered_model(self, name: str) -> None:
        """Delete a name with its versions, aliases and history; NotFound if there is none."""
        name = normalised(name)
        with self._database.writing() as connection:
            lock_model(connection, name)
            _DELETE_MODEL.run(connection, {"name": name})

    def search_registered_models(self, query: Query = EVERYTHING) -> Page[RegisteredModel]:
        """Names that fulfil a query, in alphabetical order unless it says otherwise."""
        from ratoon.stores.sql.registry_search import search_registered_models

        with self._database.reading() as connection:
            rows, token = search_registered_models(connection.core, query)
            return Page(tuple(read_models(connection, rows)), token)

    def create_version(self, version: ModelVersion) -> ModelVersion:
        """Store a version under the next free number; its ``version`` and times are ignored."""
        check_version(version)
        check_stage(version.current_stage)
        version = msgspec.structs.replace(version, name=normalised(version.name))
        row = {name: getattr(version, name) for name in _VERSION}
        with self._database.writing() as connection:
            # Concurrent calls wait here for each other: numbers are consecutive, and times rise with them.
            lock_model(connection, version.name)
            number = _COUNT_VERSION.first(connection, {"name": version.name}).latest_version
            now = now_ms()
            row |= {"version": number, "creation_timestamp": now, "last_updated_timestamp": now}
            _CREATE_VERSION.run(connection, row)
            _touch(connection, version.name, {})
            VERSION_TAGS.put(connection, {"name": version.name, "version": number}, version.tags)
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
        from ratoon.stores.sql.registry_search import search_versions

        with self._database.reading() as connection:
            rows, token = search_versions(connection.core, query)
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
        with self._database.writing() as connection:
            lock_model(connection, name)
            read_version(connection, name, version)
            changes["last_updated_timestamp"] = now_ms()
            _changing_version(tuple(changes)).run(connection, {"name": name, "version": version, **changes})
            VERSION_TAGS.change(connection, {"name": name, "version": version}, tags or {})
            return read_version(connection, name, version)

    def delete_version(self, name: str, version: int) -> None:
        """Delete a version and its aliases; NotFound if there is none."""
        name = normalised(name)
        with self._database.writing() as connection:
            lock_model(connection, name)
            read_version(connection, name, version)
            _DELETE_VERSION.run(connection, {"name": name, "version": version})
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
            _KEEP_MOVE.run(connection, row)

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
    changed = {**changes, "last_updated_timestamp": now_ms()}
    _changing_model(tuple(changed)).run(connection, {"old_name": name, **changed})


def _said(version: int | None) -> str:
    return "nobody" if version is None else f"version {version}"


def _hand_over(connection: Connection, move: AliasMove) -> None:
    if move.to_version is None:
        _TAKE_ALIAS.run(connection, {"name": move.name, "alias": move.alias})
    else:
        _GIVE_ALIAS.run(connection, {"name": move.name, "alias": move.alias, "version": move.to_version})


# The columns of a version: what it is, but for its tags and aliases.
_VERSION = tuple(name for name in ModelVersion.__struct_fields__ if name not in ("tags", "aliases"))
_MODEL = ("name", "description", "latest_version", "creation_timestamp", "last_updated_timestamp")
_CREATE_MODEL = Prepared(f"{insertion('registered_models', _MODEL)} ON CONFLICT DO NOTHING RETURNING name")
_DELETE_MODEL = Prepared("DELETE FROM registered_models WHERE name = :name")
_COUNT_VERSION = Prepared(
    "UPDATE registered_models SET latest_version = latest_version + 1 WHERE name = :name RETURNING latest_version"
)
_CREATE_VERSION = Prepared(insertion("model_versions", _VERSION))
_DELETE_VERSION = Prepared("DELETE FROM model_versions WHERE name = :name AND version = :version")
_GIVE_ALIAS = Prepared(
    f"{insertion('aliases', ('name', 'alias', 'version'))}"
    " ON CONFLICT (name, alias) DO UPDATE SET version = excluded.version"
)
_TAKE_ALIAS = Prepared("DELETE FROM aliases WHERE name = :name AND alias = :alias")
_KEEP_MOVE = Prepared(insertion("alias_moves", AliasMove.__struct_fields__))


@functools.cache
def _changing_model(columns: tuple[str, ...]) -> Prepared:
    return Prepared(f"UPDATE registered_models SET {assignments(columns)} WHERE name = :old_name")


@functools.cache
def _changing_version(columns: tuple[str, ...]) -> Prepared:
    return Prepared(f"UPDATE model_versions SET {assignments(columns)} WHERE name = :name AND version = :version")
