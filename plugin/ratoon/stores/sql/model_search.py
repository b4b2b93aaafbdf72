"""Searching models."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, exists, select, true

from ratoon.entities import MeasuredOn, ModelQuery, Query
from ratoon.stores import fields
from ratoon.stores.sql import tables
from ratoon.stores.sql.conditions import Condition, Subject, condition, on_one_of
from ratoon.stores.sql.searching import Asked, Found, ask, in_view, search

_COLUMNS = tables.models.c
_MODELS = Subject(
    kind="models",
    table=tables.models,
    fields=fields.MODEL,
    columns={},
    pairs={"metric": tables.model_metrics, "param": tables.model_params, "tag": tables.model_tags},
    owner=("model_id",),
    ties=((_COLUMNS.creation_timestamp, False), (_COLUMNS.model_id, False)),
)


def search_models(connection: Connection, experiments: Sequence[int], query: Query) -> Found:
    """Rows of models of the experiments (of all if none is given) that fulfil a query, and the next page's token."""
    datasets, ordered = (query.datasets, query.order_datasets) if isinstance(query, ModelQuery) else ((), ())
    asked = ask(_MODELS, query, (*experiments, *datasets, *ordered))
    asked = asked._replace(orderings=fields.measured_orders(asked.orderings, ordered))
    inside = _COLUMNS.experiment_id.in_(experiments) if experiments else true()
    view = in_view(tables.models, query.view)
    within = [inside] if view is None else [inside, view]
    if datasets:
        asked, measured = _on_datasets(connection, asked, datasets)
        within += measured
    return search(connection, _MODELS, asked, and_(*within))


def _on_datasets(connection: Connection, asked: Asked, datasets: Sequence[MeasuredOn]) -> tuple[Asked, list[Condition]]:
    """The query without its comparisons of metrics, and these, as conditions on what was measured on the datasets."""
    table = tables.model_metrics
    measured = select(table).where(on_one_of(table, datasets)).subquery()
    subject = _MODELS._replace(pairs={**_MODELS.pairs, "metric": measured})
    metrics = [each for each in asked.comparisons if each.entity == "metric"]
    others = tuple(each for each in asked.comparisons if each.entity != "metric")
    conditions = [condition(connection, subject, each) for each in metrics]
    return asked._replace(comparisons=others), conditions or [exists().where(subject.owns(measured))]
