"""How a comparison of a filter becomes a condition in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    FromClause,
    Table,
    and_,
    exists,
    false,
    literal,
    or_,
    true,
)

from ratoon.entities import MeasuredOn
from ratoon.stores.fields import Fields
from ratoon.stores.grammar import Comparison
from ratoon.stores.sql.dialects import equals, ilike, like
from ratoon.stores.sql.tables import datasets as all_datasets
from ratoon.stores.sql.tables import run_inputs

Condition = ColumnElement[bool]
Expression = ColumnElement[Any]

_OPPOSITES = {"!=": "=", "NOT IN": "IN"}
_NUMBERS: dict[str, Callable[[Any, Any], Condition]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}


class Subject(NamedTuple):
    """A kind of thing that can be searched.

    Attributes:
        kind: Its name, which a page token is bound to.
        table: Where it is kept.
        fields: What can be asked about it.
        columns: Attributes that are not columns of the same name.
        pairs: Its tables of params, tags and metrics, by entity.
        owner: The columns that these have in common with the table.
        ties: What the rest is ordered by, and which of them ascend; makes the order total.
    """

    kind: str
    table: Table
    fields: Fields
    columns: Mapping[str, Expression]
    pairs: Mapping[str, FromClause]
    owner: tuple[str, ...]
    ties: tuple[tuple[Column[Any], bool], ...]

    def column(self, attribute: str) -> Expression:
        """The column of an attribute."""
        found = self.columns.get(attribute)
        return self.table.c[attribute] if found is None else found

    def owns(self, part: FromClause) -> Condition:
        """That a row of a part belongs to a row of the table."""
        return and_(*(part.c[name] == self.table.c[name] for name in self.owner))


def condition(connection: Connection, subject: Subject, comparison: Comparison) -> Condition:
    """A comparison, as a condition on a row of the table."""
    if comparison.entity == "attribute":
        return _attribute_condition(connection, subject, comparison)
    if comparison.entity == "dataset":
        return _dataset_condition(connection, subject, comparison)
    table = subject.pairs[comparison.entity].alias()
    same = subject.owns(table) & (table.c.key == comparison.key)
    if comparison.operator == "IS NULL":
        return ~exists().where(same)
    if comparison.operator == "IS NOT NULL":
        return exists().where(same)
    if comparison.entity != "metric" and comparison.operator in _OPPOSITES:
        positive = Comparison(
            entity=comparison.entity,
            key=comparison.key,
            operator=_OPPOSITES[comparison.operator],
            value=comparison.value,
        )
        return ~exists().where(same, pair_condition(connection, table, positive))
    return exists().where(same, pair_condition(connection, table, comparison))


def _dataset_condition(connection: Connection, subject: Subject, comparison: Comparison) -> Condition:
    used, datasets = run_inputs.alias(), all_datasets.alias()
    of_run = subject.owns(used) & (used.c.dataset_pk == datasets.c.dataset_pk)
    column = used.c.context if comparison.key == "context" else datasets.c[comparison.key]
    return exists().where(of_run, text_condition(connection, column, comparison))


def on_one_of(metrics: FromClause, datasets: Iterable[MeasuredOn]) -> Condition:
    """That a metric of a model was measured on one of these datasets."""
    columns = metrics.c
    named = (
        and_(columns.dataset_name == each.name, true() if not each.digest else columns.dataset_digest == each.digest)
        for each in datasets
    )
    return or_(false(), *named)


def pair_condition(connection: Connection, table: FromClause, comparison: Comparison) -> Condition:
    """A comparison, as a condition on the value of a row of metrics, params or tags."""
    if comparison.operator == "IS NOT NULL":
        return true()
    if comparison.entity == "metric":
        compared = _NUMBERS[comparison.operator](table.c.value, comparison.value)
        # NaN is unequal to everything, and neither larger nor smaller than anything.
        return (
            or_(table.c.is_nan, compared) if comparison.operator == "!=" else and_(table.c.is_nan == false(), compared)
        )
    if comparison.operator in ("=", "IN"):
        return equals(connection, table.c.value, _texts(comparison))
    return text_condition(connection, table.c.value, comparison)


def text_condition(connection: Connection, text: Expression, comparison: Comparison) -> Condition:
    """A comparison of a text; where it is NULL, ``!=`` and ``NOT IN`` are fulfilled."""
    values = _texts(comparison)
    operator = comparison.operator
    if operator == "LIKE":
        return like(connection, text, values[0])
    if operator == "ILIKE":
        return ilike(connection, text, values[0])
    found: Condition = text == values[0] if len(values) == 1 else text.in_(values)
    return or_(text.is_(None), ~found) if operator in _OPPOSITES else found


def _texts(comparison: Comparison) -> tuple[str, ...]:
    return comparison.value if isinstance(comparison.value, tuple) else (str(comparison.value),)


def _number(value: object) -> Expression:
    """A number for a column of integers; an integer itself where it can be, which an index of PostgreSQL asks for."""
    assert isinstance(value, float)  # the fields saw to it
    exact = value.is_integer() and abs(value) < 2**63
    return literal(int(value), BigInteger) if exact else literal(value, Double)


def _attribute_condition(connection: Connection, subject: Subject, comparison: Comparison) -> Condition:
    column = subject.column(comparison.key)
    if comparison.key in subject.fields.numbers:
        return _NUMBERS[comparison.operator](column, _number(comparison.value))
    return text_condition(connection, column, comparison)
