"""Searching runs: the same question asked in the way that looks at the fewest rows.

Two ways lead to a page. Where some comparison is fulfilled by few runs, an index names them, and they alone are
filtered and sorted. Else the index of the order is walked from where the last page ended, and what does not fulfil the
filter is left out, until the page is full; as each comparison is fulfilled by many, it is full soon. For the second way
an order by a metric, param or tag is walked in up to three stretches: the numbers, NaN, and the runs without any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    FromClause,
    Row,
    Select,
    Table,
    and_,
    exists,
    false,
    func,
    literal,
    literal_column,
    select,
    true,
    union_all,
)

from ratoon.entities import LifecycleStage, ViewType
from ratoon.stores import fields
from ratoon.stores.grammar import Ordering
from ratoon.stores.sql import tables
from ratoon.stores.sql.conditions import Condition, Subject, condition, pair_condition
from ratoon.stores.sql.searching import (
    MISSING,
    NAN,
    NUMBER,
    Asked,
    Found,
    Joined,
    Key,
    after,
    labelled,
    name_of,
    order_keys,
    paged,
    pair_keys,
    search,
    start_of,
)

RUNS = Subject(
    kind="runs",
    table=tables.runs,
    fields=fields.RUN,
    columns={},
    pairs={"metric": tables.metrics, "param": tables.params, "tag": tables.tags},
    owner=("run_pk",),
    ties=((tables.runs.c.start_time, False), (tables.runs.c.run_pk, False)),
)

# Looking at n runs and sorting them takes as long as walking past 100 / n of all of them: about equal at this number,
# where there are 100,000.
FEW = 3000
MOST_EXPERIMENTS = 10_000
# An index is walked for each experiment by itself, as long as they are not more than this.
MOST_BRANCHES = 30

_STAGES = {
    ViewType.ACTIVE_ONLY: (LifecycleStage.ACTIVE,),
    ViewType.DELETED_ONLY: (LifecycleStage.DELETED,),
    ViewType.ALL: (LifecycleStage.ACTIVE, LifecycleStage.DELETED),
}
_ABSENT = ("!=", "NOT IN", "IS NULL")

_NEWEST = Ordering(entity="attribute", key="start_time", ascending=False)

_RUNS = tables.runs.c


class _Scope(NamedTuple):
    """Where is looked: experiments (None for all of them) and stages of life."""

    experiments: Sequence[int] | None
    stages: Sequence[LifecycleStage]

    def of(self, table: Table | FromClause) -> list[Condition]:
        """That a row belongs to one of the experiments."""
        if self.experiments is None:
            return []
        column = table.c.experiment_id
        return [column == self.experiments[0] if len(self.experiments) == 1 else column.in_(self.experiments)]

    def alive(self) -> list[Condition]:
        """That a run is in one of the stages."""
        return [] if len(self.stages) == 2 else [_RUNS.lifecycle_stage == self.stages[0]]

    def parts(self, *, by_stage: bool) -> list[_Scope]:
        """One scope for each way through an index."""
        if self.experiments is None or len(self.experiments) > MOST_BRANCHES:
            return [self]
        stages = [(each,) for each in self.stages] if by_stage else [self.stages]
        return [_Scope((number,), each) for number in self.experiments for each in stages]


def search_runs(connection: Connection, asked: Asked, experiments: Sequence[int], view: ViewType) -> Found:
    """Rows of runs that fulfil a query, and the token of the next page."""
    scope = _Scope(experiments or _all_experiments(connection), _STAGES[view])
    first = asked.orderings[0] if asked.orderings else _NEWEST
    inside = and_(true(), *scope.of(RUNS.table), *scope.alive())
    few = _few(connection, asked, scope, first)
    if few is not None:
        # A limit keeps a database from taking the condition apart, and from beginning with all runs instead.
        named = few.limit(2 * FEW + 1).subquery()
        return search(connection, RUNS, asked, inside, named.join(RUNS.table, RUNS.owns(named)))
    if first.entity == "attribute" and first.key != "start_time":
        return search(connection, RUNS, asked, inside)
    return _walk(connection, asked, scope, first)


def _all_experiments(connection: Connection) -> Sequence[int] | None:
    """Each of them, because an index of metrics or params begins with the experiment; None if they are too many."""
    found = connection.scalars(select(tables.experiments.c.experiment_id).limit(MOST_EXPERIMENTS + 1)).all()
    return sorted(found) if len(found) <= MOST_EXPERIMENTS else None


def _few(connection: Connection, asked: Asked, scope: _Scope, first: Ordering) -> Select[Any] | None:
    """The runs that fulfil the comparison which the fewest do; None if that are more than a few."""
    least, best = FEW + 1, None
    for query in _probes(connection, asked, scope, first):
        counted = select(func.count()).select_from(query.limit(FEW + 1).subquery())
        found = connection.execute(counted).scalar_one()
        if found < least:
            least, best = found, query
    return best


def _probes(connection: Connection, asked: Asked, scope: _Scope, first: Ordering) -> Iterator[Select[Any]]:
    """What an index answers without a look at the runs."""
    if scope.stages == (LifecycleStage.DELETED,):
        yield select(_RUNS.run_pk).where(*scope.of(RUNS.table), *scope.alive())
    for comparison in asked.comparisons:
        if comparison.operator in _ABSENT:
            continue
        if comparison.entity == "attribute" and comparison.key == "run_id" and comparison.operator in ("=", "IN"):
            yield select(_RUNS.run_pk).where(condition(connection, RUNS, comparison))
        # The comparison of what is ordered by limits the walk itself.
        elif comparison.entity in RUNS.pairs and (comparison.entity, comparison.key) != (first.entity, first.key):
            table = RUNS.pairs[comparison.entity]
            fulfils = pair_condition(connection, table, comparison)
            yield select(table.c.run_pk).where(*scope.of(table), table.c.key == comparison.key, fulfils)


class _Stretch(NamedTuple):
    """A part of a walk, in which the first term has one rank.

    Attributes:
        walked: The table whose index is walked.
        rank: That of its runs; None where the first term has none.
        fixed: Keys of the first term that are the same for all runs of the stretch, the rank before all.
        keys: Its other keys.
        conditions: What makes a row belong to the stretch, and fulfil the filter.
    """

    walked: FromClause
    rank: int | None
    fixed: list[Key]
    keys: list[Key]
    conditions: list[Condition]

    def joined(self, others: Sequence[Joined]) -> FromClause:
        """The table with the runs, and what the other terms need."""
        source = self.walked
        if source is not RUNS.table:
            source = source.join(RUNS.table, RUNS.owns(source))
        for other in others:
            source = source.outerjoin(other.table, other.on)
        return source


def _walk(connection: Connection, asked: Asked, scope: _Scope, first: Ordering) -> Found:
    """A page out of as many stretches as it takes."""
    by_start = first.entity == "attribute"
    rest, joins = order_keys(connection, RUNS, asked.orderings if by_start else asked.orderings[1:])
    rows: list[Row[Any]] = []
    keys: list[Key] = []
    for stretch in _stretches(connection, asked, first):
        moving = [*stretch.keys, *rest]
        keys = [*stretch.fixed, *moving]
        start = start_of(asked, keys) if asked.token is not None else None
        if start is not None and stretch.rank is not None and start[0] > stretch.rank:
            continue
        conditions = stretch.conditions
        if start is not None and stretch.rank in (None, start[0]):
            conditions = [*conditions, after(moving, start[-len(moving) :])]
        query = select(*_RUNS, *labelled(keys)).select_from(stretch.joined(joins)).where(*conditions)
        parts = [
            query.where(*part.of(stretch.walked), *part.alive())
            for part in scope.parts(by_stage=stretch.walked is RUNS.table)
        ]
        rows += connection.execute(_first_of(parts, moving, len(keys) - len(moving), asked.limit + 1 - len(rows)))
        if len(rows) > asked.limit:
            break
    return paged(rows, keys, asked)


def _first_of(parts: Sequence[Select[Any]], keys: Sequence[Key], number: int, limit: int) -> Select[Any]:
    """The first rows of several queries with the same keys, of which the first bears a number."""
    found = [part.order_by(*(key.term() for key in keys)).limit(limit) for part in parts]
    if len(found) == 1:
        return found[0]
    whole = union_all(*(select(part.subquery()) for part in found)).subquery()
    terms = [key._replace(column=whole.c[name_of(at)]) for at, key in enumerate(keys, number)]
    return select(whole).order_by(*(term.term() for term in terms)).limit(limit)


def _stretches(connection: Connection, asked: Asked, first: Ordering) -> Iterator[_Stretch]:
    every = [condition(connection, RUNS, each) for each in asked.comparisons]
    if first.entity == "attribute":
        yield _Stretch(RUNS.table, None, [], [], every)
        return
    of_first = [each for each in asked.comparisons if (each.entity, each.key) == (first.entity, first.key)]
    walked = RUNS.pairs[first.entity].alias("walked")
    has_key = walked.c.key == first.key
    limits = [
        pair_condition(connection, walked, each) if each in of_first and each.operator not in _ABSENT else found
        for each, found in zip(asked.comparisons, every, strict=True)
    ]
    _, value = pair_keys(connection, walked, first)
    if first.entity == "metric":
        yield _Stretch(walked, NUMBER, [_rank(NUMBER)], [value], [has_key, walked.c.is_nan == false(), *limits])
        yield _Stretch(walked, NAN, [_rank(NAN)], [value], [has_key, walked.c.is_nan == true(), *limits])
    else:
        yield _Stretch(walked, NUMBER, [_rank(NUMBER)], [value], [has_key, *limits])
    if all(each.operator in _ABSENT for each in of_first):
        own = RUNS.pairs[first.entity].alias("own")
        nothing = value._replace(column=literal(0.0 if first.entity == "metric" else ""))
        absent = ~exists().where(RUNS.owns(own), own.c.key == first.key)
        yield _Stretch(RUNS.table, MISSING, [_rank(MISSING), nothing], [], [absent, *every])


def _rank(rank: int) -> Key:
    return Key(literal_column(str(rank)), True, int)
