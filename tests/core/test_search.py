"""Random searches of runs, compared with the same question answered in plain Python."""

from __future__ import annotations

import fnmatch
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ratoon.entities import LifecycleStage, Query, Run, RunBatch, RunStatus, ViewType
from ratoon.stores.grammar import Comparison, Ordering, parse_filter, quoted
from ratoon.stores.sql import run_search
from ratoon.stores.sql.database import Database
from ratoon.stores.sql.tracking import SqlTrackingStore
from ratoon.testing.values import point, run_of

KEYS = ("auc", "loss", "a b")
NUMBERS = (-math.inf, -1.5, 0.0, 0.5, 1.0, math.inf, math.nan)
TEXTS = ("", "a", "A", "ab", "aB", "b", "a_b", "a%b", "a*b", "[a]", "ä", "'", "Z")
PATTERNS = ("", "%", "a", "a%", "_", "a_b", "%b", "[a]", "a*b", "?", "%'%", "Z", "__")


class Place:
    """A store with random runs in three experiments, and the runs as they were written."""

    def __init__(self, database: Database, seed: int) -> None:
        chance = random.Random(seed)
        self.store = SqlTrackingStore(database)
        self.homes = [self.store.create_experiment(f"{seed}-{number}").experiment_id for number in range(3)]
        made = [self._run(chance) for _ in range(60)]
        # In the order of their numbers in the database, which the last tie is settled by.
        self.runs = [self.store.get_run(run_id) for run_id in made]

    def _run(self, chance: random.Random) -> str:
        def some(values: tuple[Any, ...]) -> dict[str, Any]:
            return {key: chance.choice(values) for key in KEYS if chance.random() < 0.7}

        run = self.store.create_run(
            run_of(
                chance.choice(self.homes),
                run_name=chance.choice(("x", "y", "z")),
                start_time=chance.randrange(5),
                params=some(TEXTS),
                tags=some(TEXTS),
            )
        )
        metrics = tuple(point(key, value) for key, value in some(NUMBERS).items())
        self.store.log_batch(RunBatch(run_id=run.run_id, metrics=metrics))
        if chance.random() < 0.5:
            self.store.update_run(run.run_id, status=RunStatus.FINISHED, end_time=chance.randrange(5))
        if chance.random() < 0.3:
            self.store.move_run(run.run_id, LifecycleStage.DELETED)
        return run.run_id


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if request.param == "postgresql":
        with request.getfixturevalue("postgresql_databases")() as database:
            yield Place(database, 7)
        return
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('search')}/ratoon.db")
    yield Place(database, 7)
    database.close()


# Ways that a search of so few runs would not take by itself.
@pytest.fixture(params=[0, 20, 2000], ids=["walked", "mixed", "listed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_search, "FEW", request.param)


@pytest.fixture(params=[1, 30], ids=["together", "apart"])
def branches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_search, "MOST_BRANCHES", request.param)


def field_of(run: Run, entity: str, key: str) -> float | str | None:
    if entity == "metrics":
        return run.metrics[key].value if key in run.metrics else None
    if entity in ("params", "tags"):
        found: str | None = getattr(run, entity).get(key)
        return found
    attribute: float | str | None = getattr(run, key)
    return attribute


def fulfils(run: Run, comparison: Comparison) -> bool:
    found = field_of(run, comparison.entity, comparison.key)
    operator, value = comparison.operator, comparison.value
    if operator in ("IS NULL", "IS NOT NULL"):
        return (found is None) == (operator == "IS NULL")
    if operator in ("IN", "NOT IN"):
        assert isinstance(value, tuple)
        return (found in value) == (operator == "IN")
    is_number = comparison.entity == "metrics" or comparison.key.endswith("_time")
    if found is None:
        return operator == "!=" and not is_number
    if operator in ("LIKE", "ILIKE"):
        return is_like(str(found), str(value), case_matters=operator == "LIKE")
    compare: dict[str, Callable[[Any, Any], bool]] = {
        "=": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    return compare[operator](found, value)


def is_like(text: str, pattern: str, *, case_matters: bool) -> bool:
    glob = "".join({"%": "*", "_": "?"}.get(each, f"[{each}]" if each in "*?[" else each) for each in pattern)
    if not case_matters:
        text, glob = text.lower(), glob.lower()
    return fnmatch.fnmatchcase(text, glob)


def sort_key(ordering: Ordering, run: Run) -> tuple[Any, ...]:
    found = field_of(run, ordering.entity, ordering.key)
    if found is None:
        return (2,)
    if isinstance(found, float) and math.isnan(found):
        return (1,)
    return 0, found


def in_order(runs: list[Run], orderings: list[Ordering]) -> list[Run]:
    runs = sorted(runs[::-1], key=lambda run: run.start_time, reverse=True)
    for ordering in reversed(orderings):
        ranked: dict[int, list[Run]] = {0: [], 1: [], 2: []}
        for run in runs:
            ranked[sort_key(ordering, run)[0]].append(run)
        ranked[0].sort(key=lambda run: sort_key(ordering, run), reverse=not ordering.ascending)
        runs = ranked[0] + ranked[1] + ranked[2]
    return runs


metric_comparisons = st.builds(
    Comparison,
    entity=st.just("metrics"),
    key=st.sampled_from(KEYS),
    operator=st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
    value=st.sampled_from([0.5, -1.5, 0.0, 2.0, math.inf]),
)
text_comparisons = st.builds(
    Comparison,
    entity=st.sampled_from(["params", "tags"]),
    key=st.sampled_from(KEYS),
    operator=st.sampled_from(["=", "!="]),
    value=st.sampled_from(TEXTS),
)
pattern_comparisons = st.builds(
    Comparison,
    entity=st.sampled_from(["params", "tags"]),
    key=st.sampled_from(KEYS),
    operator=st.sampled_from(["LIKE", "ILIKE"]),
    value=st.sampled_from(PATTERNS),
)
list_comparisons = st.builds(
    Comparison,
    entity=st.sampled_from(["params", "tags"]),
    key=st.sampled_from(KEYS),
    operator=st.sampled_from(["IN", "NOT IN"]),
    value=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).map(tuple),
)
presence_comparisons = st.builds(
    Comparison,
    entity=st.sampled_from(["metrics", "params", "tags"]),
    key=st.sampled_from(KEYS),
    operator=st.sampled_from(["IS NULL", "IS NOT NULL"]),
)
time_comparisons = st.builds(
    Comparison,
    entity=st.just("attributes"),
    key=st.sampled_from(["start_time", "end_time"]),
    operator=st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
    value=st.sampled_from([0.0, 2.0, 2.5]),
)
name_comparisons = st.builds(
    Comparison,
    entity=st.just("attributes"),
    key=st.just("run_name"),
    operator=st.sampled_from(["=", "!="]),
    value=st.sampled_from(["x", "y", "nobody"]),
)
comparisons = st.lists(
    st.one_of(
        metric_comparisons,
        text_comparisons,
        pattern_comparisons,
        list_comparisons,
        presence_comparisons,
        time_comparisons,
        name_comparisons,
    ),
    max_size=3,
)
orderings = st.lists(
    st.one_of(
        st.builds(
            Ordering,
            entity=st.sampled_from(["metrics", "params", "tags"]),
            key=st.sampled_from(KEYS),
            ascending=st.booleans(),
        ),
        st.builds(
            Ordering,
            entity=st.just("attributes"),
            key=st.sampled_from(["start_time", "end_time", "run_name", "status"]),
            ascending=st.booleans(),
        ),
    ),
    max_size=3,
)


def written(comparison: Comparison) -> str:
    value = comparison.value
    if value is None:
        shown = ""
    elif isinstance(value, tuple):
        shown = "(" + ", ".join(map(quoted, value)) + ")"
    else:
        shown = quoted(value) if isinstance(value, str) else "1e999" if math.isinf(value) else repr(value)
    return f"{field(comparison)} {comparison.operator} {shown}"


def field(term: Comparison | Ordering) -> str:
    return f"{term.entity}.`{term.key}`" if " " in term.key else f"{term.entity}.{term.key}"


@given(
    comparisons=comparisons,
    orderings=orderings,
    homes=st.sets(st.integers(0, 2)),
    view=st.sampled_from(ViewType),
    limit=st.integers(1, 70),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_search_answers_as_plain_python_does(
    place: Place,
    way: None,
    branches: None,
    comparisons: list[Comparison],
    orderings: list[Ordering],
    homes: set[int],
    view: ViewType,
    limit: int,
) -> None:
    wanted_homes = {place.homes[number] for number in homes} or set(place.homes)
    stages = {
        ViewType.ACTIVE_ONLY: {LifecycleStage.ACTIVE},
        ViewType.DELETED_ONLY: {LifecycleStage.DELETED},
        ViewType.ALL: set(LifecycleStage),
    }[view]
    wanted = [
        run
        for run in place.runs
        if run.experiment_id in wanted_homes
        and run.lifecycle_stage in stages
        and all(fulfils(run, each) for each in comparisons)
    ]
    query = Query(
        filter=" AND ".join(map(written, comparisons)),
        order_by=tuple(f"{field(each)} {'ASC' if each.ascending else 'DESC'}" for each in orderings),
        view=view,
        limit=limit,
    )
    found: list[Run] = []
    while True:
        page = place.store.search_runs([place.homes[number] for number in homes], query)
        found += page.items
        if page.next_token is None:
            break
        query = replace(query, page_token=page.next_token)
    assert [run.run_id for run in found] == [run.run_id for run in in_order(wanted, orderings)]


@given(comparisons=comparisons)
def test_a_filter_that_was_written_is_read_back(comparisons: list[Comparison]) -> None:
    found = parse_filter(" AND ".join(map(written, comparisons)))
    assert [replace(each, position=0) for each in found] == comparisons
