"""How a query becomes SQL, whatever it looks for.

Every order ends with the columns that make it total, so that a page can go on exactly where the one before ended. A
term whose value may be missing is two keys: its rank (numbers 0, NaN 1, nothing 2, always in this order) and its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    FromClause,
    Row,
    Select,
    Table,
    and_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)

from ratoon.entities import LifecycleStage, Query, ViewType
from ratoon.stores.fields import comparisons_of, orderings_of
from ratoon.stores.grammar import Comparison, Ordering
from ratoon.stores.sql.conditions import Condition, Expression, Subject, condition, on_one_of
from ratoon.stores.sql.dialects import by_code
from ratoon.stores.sql.paging import check_limit, decode_token, encode_token, fingerprint

NUMBER, NAN, MISSING = 0, 1, 2


class Key(NamedTuple):
    """One column of a total order."""

    column: Expression
    ascending: bool
    type: type

    def term(self) -> Expression:
        """The column in its direction."""
        return self.column.asc() if self.ascending else self.column.desc()

    def beyond(self, value: Any, *, or_equal: bool = False) -> Condition:
        """That a row comes later than a value by this key alone."""
        column: Any = self.column
        found: Condition
        if self.ascending:
            found = column >= value if or_equal else column > value
        else:
            found = column <= value if or_equal else column < value
        return found


class Joined(NamedTuple):
    """A table that an order needs, and how it hangs on the table that is searched."""

    table: FromClause
    on: Condition


class Asked(NamedTuple):
    """A query, read."""

    comparisons: tuple[Comparison, ...]
    orderings: tuple[Ordering, ...]
    limit: int
    mark: str
    token: str | None


Found = tuple[list[Row[Any]], str | None]


def ask(subject: Subject, query: Query, within: Sequence[object] = ()) -> Asked:
    """Read a query.

    Raises:
        InvalidInput: Filter, order or page size make no sense.
    """
    check_limit(query.limit)
    return Asked(
        comparisons=comparisons_of(subject.fields, query.filter),
        orderings=orderings_of(subject.fields, query.order_by),
        limit=query.limit,
        mark=fingerprint(subject.kind, query, within),
        token=query.page_token,
    )


def search(
    connection: Connection,
    subject: Subject,
    asked: Asked,
    within: Condition | None = None,
    source: FromClause | None = None,
) -> Found:
    """Rows that fulfil a query, and the token of the next page.

    Args:
        connection: A transaction.
        subject: What is searched.
        asked: The query.
        within: What a row must fulfil beside the filter.
        source: The table, joined with another that names the rows to look at; the table alone if None.
    """
    keys, joins = order_keys(connection, subject, asked.orderings)
    source = subject.table if source is None else source
    for joined in joins:
        source = source.outerjoin(joined.table, joined.on)
    conditions = [condition(connection, subject, each) for each in asked.comparisons]
    statement = (
        select(*subject.table.c, *labelled(keys))
        .select_from(source)
        .where(true() if within is None else within, *conditions)
        .order_by(*(key.term() for key in keys))
        .limit(asked.limit + 1)
    )
    if asked.token is not None:
        statement = statement.where(after(keys, start_of(asked, keys)))
    return paged(list(connection.execute(statement)), keys, asked)


def in_view(table: Table, view: ViewType) -> Condition | None:
    """That a row is in one of the stages of a view; None where every row is."""
    if view == ViewType.ALL:
        return None
    stage = LifecycleStage.ACTIVE if view == ViewType.ACTIVE_ONLY else LifecycleStage.DELETED
    return table.c.lifecycle_stage == stage


def start_of(asked: Asked, keys: Sequence[Key]) -> list[Any]:
    """The values of the keys at the end of the page before."""
    return decode_token(asked.token or "", asked.mark, [key.type for key in keys])


def paged(rows: list[Row[Any]], keys: Sequence[Key], asked: Asked) -> Found:
    """A page out of one row more than it holds, which tells whether there is a next one."""
    if len(rows) <= asked.limit:
        return rows, None
    last = rows[asked.limit - 1]
    return rows[: asked.limit], encode_token(asked.mark, [last._mapping[name_of(each)] for each in range(len(keys))])


def labelled(keys: Iterable[Key]) -> list[Expression]:
    """The keys under names of their own."""
    return [key.column.label(name_of(number)) for number, key in enumerate(keys)]


def name_of(number: int) -> str:
    """The name of a key in a result."""
    return f"sort_key_{number}"


def after(keys: Sequence[Key], values: Sequence[Any]) -> Condition:
    """That a row comes behind the one with these values.

    Each key is limited by itself, too, so that the first of them finds its place in an index.
    """
    key, value = keys[0], values[0]
    if len(keys) == 1:
        return key.beyond(value)
    return and_(key.beyond(value, or_equal=True), or_(key.beyond(value), after(keys[1:], values[1:])))


def order_keys(
    connection: Connection, subject: Subject, orderings: Sequence[Ordering]
) -> tuple[list[Key], list[Joined]]:
    """The keys of a total order, and the tables that they need."""
    keys: list[Key] = []
    joins: list[Joined] = []
    for number, ordering in enumerate(orderings):
        if ordering.entity == "attribute":
            keys += _attribute_keys(connection, subject, ordering)
        elif ordering.entity == "metric" and subject.owner == ("model_id",):
            keys += _newest_metric_keys(subject, ordering)
        else:
            table = subject.pairs[ordering.entity].alias(f"ordered_{number}")
            joins.append(Joined(table, subject.owns(table) & (table.c.key == ordering.key)))
            keys += pair_keys(connection, table, ordering, table.c[subject.owner[0]].is_(None))
    return keys + tie_keys(connection, subject), joins


def tie_keys(connection: Connection, subject: Subject) -> list[Key]:
    """What comes behind the terms that were asked for."""
    found = []
    for column, ascending in subject.ties:
        kind = column.type.python_type
        found.append(Key(by_code(connection, column) if kind is str else column, ascending, kind))
    return found


def pair_keys(
    connection: Connection, table: FromClause, ordering: Ordering, is_missing: Condition | None = None
) -> list[Key]:
    """Rank and value of a metric, param or tag."""
    is_metric = ordering.entity == "metric"
    ranks: list[tuple[Condition, Expression]] = (
        [(is_missing, literal_column(str(MISSING)))] if is_missing is not None else []
    )
    ranks += [(table.c.is_nan, literal_column(str(NAN)))] if is_metric else []
    rank = case(*ranks, else_=literal_column(str(NUMBER))) if ranks else literal_column(str(NUMBER))
    value = table.c.value if is_missing is None else func.coalesce(table.c.value, literal(0.0 if is_metric else ""))
    if is_metric:
        return [Key(rank, True, int), Key(value, ordering.ascending, float)]
    return [Key(rank, True, int), Key(by_code(connection, value), ordering.ascending, str)]


def _attribute_keys(connection: Connection, subject: Subject, ordering: Ordering) -> list[Key]:
    column = subject.column(ordering.key)
    is_text = ordering.key in subject.fields.texts
    may_be_missing = bool(getattr(column, "nullable", False))
    found = []
    if may_be_missing:
        rank = case((column.is_(None), literal_column(str(MISSING))), else_=literal_column(str(NUMBER)))
        found.append(Key(rank, True, int))
        column = func.coalesce(column, literal("") if is_text else literal_column("0"))
    value = by_code(connection, column) if is_text else column
    return [*found, Key(value, ordering.ascending, str if is_text else int)]


def _newest_metric_keys(subject: Subject, ordering: Ordering) -> list[Key]:
    """Rank and value of a model's metric: of several runs or datasets, the newest counts."""
    table = subject.pairs["metric"].alias()
    datasets = [] if ordering.dataset is None else [on_one_of(table, [ordering.dataset])]
    newest: Select[Any] = (
        select(table.c.value)
        .where(subject.owns(table), table.c.key == ordering.key, *datasets)
        .order_by(table.c.timestamp.desc(), table.c.step.desc(), table.c.value.desc())
        .limit(1)
    )
    rank = newest.with_only_columns(case((table.c.is_nan, literal_column(str(NAN))), else_=literal_column(str(NUMBER))))
    return [
        Key(func.coalesce(rank.scalar_subquery(), literal_column(str(MISSING))), True, int),
        Key(func.coalesce(newest.scalar_subquery(), literal(0.0)), ordering.ascending, float),
    ]
