"""How rows of the registry become values. Each function works inside the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from ratoon.entities import AliasMove, ModelStatus, ModelVersion, RegisteredModel
from ratoon.errors import NotFound
from ratoon.stores.sql.connection import Connection
from ratoon.stores.sql.pairs import REGISTERED_MODEL_TAGS, VERSION_TAGS
from ratoon.stores.sql.prepared import CHANGE, Prepared, PreparedForKeys
from ratoon.stores.sql.reading import Row, Rows, from_json

# No database could have counted further.
_MOST_VERSIONS = 2**31


def no_model(name: str) -> NotFound:
    """The error about a name that nobody registered."""
    return NotFound(f"model {name!r} is not registered; list the models with 'ratoon models'")


def lock_model(connection: Connection, name: str) -> None:
    """Keep everybody else from changing a name until the transaction ends; NotFound if there is none."""
    if _LOCK_MODEL.first(connection, {"name": name}) is None:
        raise no_model(name)


def read_model(connection: Connection, name: str) -> RegisteredModel:
    """A name with its aliases; NotFound if there is none."""
    row = _MODEL.first(connection, {"name": name})
    if row is None:
        raise no_model(name)
    return read_models(connection, [row])[0]


def read_models(connection: Connection, rows: Rows) -> list[RegisteredModel]:
    """Names in the order of their rows."""
    names = [row.name for row in rows]
    tags = REGISTERED_MODEL_TAGS.read(connection, names)
    newest = {row.name: row.newest for row in _NEWEST.rows(connection, names)}
    held: dict[str, dict[str, int]] = {name: {} for name in names}
    for alias in _ALIASES.rows(connection, names):
        held[alias.name][alias.alias] = alias.version
    return [
        RegisteredModel(
            name=row.name,
            creation_timestamp=row.creation_timestamp,
            last_updated_timestamp=row.last_updated_timestamp,
            description=row.description,
            tags=tags[row.name],
            aliases=held[row.name],
            latest_version=newest.get(row.name, 0),
        )
        for row in rows
    ]


def read_version(connection: Connection, name: str, number: int) -> ModelVersion:
    """A version; NotFound if there is none."""
    wanted = {"name": name, "version": number}
    row = _VERSION.first(connection, wanted) if 0 < number < _MOST_VERSIONS else None
    if row is None:
        newest = read_model(connection, name).latest_version
        raise NotFound(
            f"version {number} of model {name!r} does not exist (the newest is {newest}); choose another one"
        )
    return read_versions(connection, [row])[0]


def read_versions(connection: Connection, rows: Rows) -> list[ModelVersion]:
    """Versions in the order of their rows."""
    keys = [(row.name, row.version) for row in rows]
    tags = VERSION_TAGS.read(connection, keys)
    held: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for alias in _ALIASES.rows(connection, sorted({name for name, _ in keys})):
        held[alias.name, alias.version].append(alias.alias)
    return [_version(row, tags[row.name, row.version], held[row.name, row.version]) for row in rows]


def read_alias_moves(connection: Connection, name: str, alias: str | None) -> list[AliasMove]:
    """Every move of an alias, or of all aliases, oldest first; NotFound if the name is not registered."""
    rows = (_MOVES if alias is None else _MOVES_OF_ALIAS).rows(connection, {"name": name, "alias": alias})
    if not rows:
        read_model(connection, name)
    return [msgspec.convert(row._asdict() | {"verdicts": from_json(row.verdicts)}, AliasMove) for row in rows]


def _version(row: Row, tags: Mapping[str, str], aliases: Sequence[str]) -> ModelVersion:
    return ModelVersion(
        name=row.name,
        version=row.version,
        source=row.source,
        creation_timestamp=row.creation_timestamp,
        last_updated_timestamp=row.last_updated_timestamp,
        run_id=row.run_id,
        model_id=row.model_id,
        user_id=row.user_id,
        description=row.description,
        status=ModelStatus(row.status),
        run_link=row.run_link,
        current_stage=row.current_stage,
        tags=tags,
        aliases=tuple(aliases),
    )


_MODEL = Prepared("SELECT * FROM registered_models WHERE name = :name")
_LOCK_MODEL = Prepared("SELECT name FROM registered_models WHERE name = :name", lock=CHANGE)
_VERSION = Prepared("SELECT * FROM model_versions WHERE name = :name AND version = :version")
# The highest number that is left of each name; the counter in its row does not go back.
_NEWEST = PreparedForKeys("SELECT name, max(version) AS newest FROM model_versions WHERE name IN :keys GROUP BY name")
_ALIASES = PreparedForKeys("SELECT * FROM aliases WHERE name IN :keys ORDER BY alias")
_MOVES = Prepared("SELECT * FROM alias_moves WHERE name = :name ORDER BY move_pk")
_MOVES_OF_ALIAS = Prepared("SELECT * FROM alias_moves WHERE name = :name AND alias = :alias ORDER BY move_pk")
