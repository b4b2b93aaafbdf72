"""Searching names and versions of the registry."""

from __future__ import annotations

from sqlalchemy import Connection

from ratoon.entities import Query
from ratoon.stores import fields
from ratoon.stores.sql import tables
from ratoon.stores.sql.conditions import Subject
from ratoon.stores.sql.searching import Found, ask, search

_NAMES, _NUMBERS = tables.registered_models, tables.model_versions

_MODELS = Subject(
    kind="registered models",
    table=_NAMES,
    fields=fields.REGISTERED_MODEL,
    columns={},
    pairs={"tag": tables.registered_model_tags},
    owner=("name",),
    ties=((_NAMES.c.name, True),),
)
_VERSIONS = Subject(
    kind="versions",
    table=_NUMBERS,
    fields=fields.VERSION,
    columns={"version_number": _NUMBERS.c.version, "source_path": _NUMBERS.c.source},
    pairs={"tag": tables.version_tags},
    owner=("name", "version"),
    ties=((_NUMBERS.c.creation_timestamp, False), (_NUMBERS.c.version, False), (_NUMBERS.c.name, True)),
)


def search_registered_models(connection: Connection, query: Query) -> Found:
    """Rows of names that fulfil a query, and the token of the next page."""
    return search(connection, _MODELS, ask(_MODELS, query))


def search_versions(connection: Connection, query: Query) -> Found:
    """Rows of versions that fulfil a query, and the token of the next page."""
    return search(connection, _VERSIONS, ask(_VERSIONS, query))
