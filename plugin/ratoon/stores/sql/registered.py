"""How rows of the registry become values. Each function works inside the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select, tuple_

from ratoon.entities import AliasMove, ModelStatus, ModelVersion, RegisteredModel
from ratoon.errors import NotFound
from ratoon.stores import fields
from ratoon.stores.sql import tables
from ratoon.stores.sql.conditions import Subject
from ratoon.stores.sql.reading import Rows, chunks, from_json, read_pairs, values_of

_NAMES, _NUMBERS = tables.registered_models, tables.model_versions

MODELS = Subject(
    kind="registered models",
    table=_NAMES,
    fields=fields.REGISTERED_MODEL,
    columns={},
    pairs={"tag": tables.registered_model_tags},
    owner=("name",),
    ties=((_NAMES.c.name, True),),
)
VERSIONS = Subject(
    kind="versions",
    table=_NUMBERS,
    fields=fields.VERSION,
    columns={"version_number": _NUMBERS.c.version, "source_path": _NUMBERS.c.source},
    pairs={"tag": tables.version_tags},
    owner=("name", "version"),
    ties=((_NUMBERS.c.creation_timestamp, False), (_NUMBERS.c.version, False), (_NUMBERS.c.name, True)),
)

# No database could have counted further.
_MOST_VERSIONS = 2**31


def no_model(name: str) -> NotFound:
    """The error about a name that nobody registered."""
    return NotFound(f"model {name!r} is not registered; list the models with 'ratoon models'")


def lock_model(connection: Connection, name: str) -> None:
    """Keep everybody else from changing a name until the transaction ends; NotFound if there is none."""
    query = select(_NAMES.c.name).where(_NAMES.c.name == name).with_for_update(key_share=True)
    if connection.execute(query).first() is None:
        raise no_model(name)


def read_model(connection: Connection, name: str) -> RegisteredModel:
    """A name with its aliases; NotFound if there is none."""
    row = connection.execute(select(_NAMES).where(_NAMES.c.name == name)).first()
    if row is None:
        raise no_model(name)
    return read_models(connection, [row])[0]


def read_models(connection: Connection, rows: Rows) -> list[RegisteredModel]:
    """Names in the order of their rows."""
    names = [row.name for row in rows]
    tags = read_pairs(connection, tables.registered_model_tags, "name", names)
    newest = _newest(connection, names)
    held: dict[str, dict[str, int]] = {name: {} for name in names}
    for alias in _aliases(connection, names):
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
    query = select(_NUMBERS).where(_NUMBERS.c.name == name, _NUMBERS.c.version == number)
    row = connection.execute(query).first() if 0 < number < _MOST_VERSIONS else None
    if row is None:
        newest = read_model(connection, name).latest_version
        raise NotFound(
            f"version {number} of model {name!r} does not exist (the newest is {newest}); choose another one"
        )
    return read_versions(connection, [row])[0]


def read_versions(connection: Connection, rows: Rows) -> list[ModelVersion]:
    """Versions in the order of their rows."""
    keys = [(row.name, row.version) for row in rows]
    tags: defaultdict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    held: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    table = tables.version_tags
    for chunk in chunks(keys):
        query = select(table).where(tuple_(table.c.name, table.c.version).in_(chunk)).order_by(table.c.key)
        for tag in connection.execute(query):
            tags[tag.name, tag.version][tag.key] = tag.value
    for alias in _aliases(connection, sorted({name for name, _ in keys})):
        held[alias.name, alias.version].append(alias.alias)
    return [_version(row, tags[row.name, row.version], held[row.name, row.version]) for row in rows]


def read_alias_moves(connection: Connection, name: str, alias: str | None) -> list[AliasMove]:
    """Every move of an alias, or of all aliases, oldest first; NotFound if the name is not registered."""
    table = tables.alias_moves
    query = select(table).where(table.c.name == name).order_by(table.c.move_pk)
    if alias is not None:
        query = query.where(table.c.alias == alias)
    rows = connection.execute(query).all()
    if not rows:
        read_model(connection, name)
    return [msgspec.convert(values_of(row) | {"verdicts": from_json(row.verdicts)}, AliasMove) for row in rows]


def _version(row: Row[Any], tags: Mapping[str, str], aliases: Sequence[str]) -> ModelVersion:
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


def _newest(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """The highest number that is left of each name; the counter in its row does not go back."""
    found: dict[str, int] = {}
    for chunk in chunks(names):
        query = select(_NUMBERS.c.name, func.max(_NUMBERS.c.version)).where(_NUMBERS.c.name.in_(chunk))
        found |= {name: number for name, number in connection.execute(query.group_by(_NUMBERS.c.name))}
    return found


def _aliases(connection: Connection, names: Sequence[str]) -> list[Row[Any]]:
    table = tables.aliases
    found: list[Row[Any]] = []
    for chunk in chunks(names):
        found += connection.execute(select(table).where(table.c.name.in_(chunk)).order_by(table.c.alias))
    return found
