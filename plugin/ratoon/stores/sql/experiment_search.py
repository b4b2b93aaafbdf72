"""Searching experiments."""

from __future__ import annotations

from sqlalchemy import Connection, String, cast

from ratoon.entities import Query
from ratoon.stores import fields
from ratoon.stores.sql import tables
from ratoon.stores.sql.conditions import Subject
from ratoon.stores.sql.searching import Found, ask, in_view, search

_COLUMNS = tables.experiments.c
_EXPERIMENTS = Subject(
    kind="experiments",
    table=tables.experiments,
    fields=fields.EXPERIMENT,
    columns={"experiment_id": cast(_COLUMNS.experiment_id, String)},
    pairs={"tag": tables.experiment_tags},
    owner=("experiment_id",),
    ties=((_COLUMNS.experiment_id, False),),
)


def search_experiments(connection: Connection, query: Query) -> Found:
    """Rows of experiments that fulfil a query, and the token of the next page."""
    return search(connection, _EXPERIMENTS, ask(_EXPERIMENTS, query), in_view(tables.experiments, query.view))
