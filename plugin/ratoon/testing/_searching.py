"""What a tracking store must find, and in which order, as tests; a part of its contract."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from ratoon.entities import Experiment, LifecycleStage, Query, Run, RunBatch, RunStatus, ViewType
from ratoon.errors import InvalidInput
from ratoon.stores.protocol import TrackingStore
from ratoon.testing._batches import Stored
from ratoon.testing._queries import FILTERS, LISTS, ORDERS, RUNS, UNEQUAL, WRONG_FILTERS, WRONG_ORDERS
from ratoon.testing.limits import Limit, beyond, within
from ratoon.testing.paging import walk
from ratoon.testing.values import dataset_input, point, run_of


class _Searched(Stored):
    @pytest.fixture
    def runs(self, store: TrackingStore, experiment: Experiment) -> dict[str, Run]:
        """Six runs that differ, and one of another experiment that is like the first."""
        made = {name: store.create_run(_run(name, experiment.experiment_id)) for name in RUNS}
        store.create_run(_run("a", store.create_experiment("other").experiment_id))
        for name, (_, auc, _, _) in RUNS.items():
            if auc is not None:
                # The last value counts, whatever was before.
                points = (point("auc", 0.6, 1), point("auc", auc, 2))
                store.log_batch(RunBatch(run_id=made[name].run_id, metrics=points))
        store.log_inputs(made["a"].run_id, [dataset_input("wine", "0a1b")])
        inputs = [dataset_input("wine", "ff", "test"), dataset_input("beer", "0a1b", "test")]
        store.log_inputs(made["b"].run_id, inputs)
        store.update_run(made["f"].run_id, status=RunStatus.FINISHED, end_time=9)
        return made

    @pytest.fixture
    def found_by(self, store: TrackingStore, experiment: Experiment, runs: dict[str, Run]) -> Callable[[str], str]:
        """Search among the runs; the names of those that a filter finds."""

        def search(asked: str) -> str:
            found = store.search_runs([experiment.experiment_id], Query(filter=asked)).items
            return "".join(sorted(run.run_name for run in found))

        return search


def _run(name: str, experiment_id: str) -> Run:
    start, _, params, tags = RUNS[name]
    return run_of(experiment_id, run_name=name, start_time=start, params=params, tags=tags)


class SearchRules(_Searched):
    """A search finds what fulfils its filter, in the order that it names, page by page."""

    def test_runs_that_fulfil_a_filter_are_found(self, found_by: Callable[[str], str]) -> None:
        assert {asked: found_by(asked) for asked in FILTERS} == FILTERS

    @beyond(Limit.MISSING_IS_UNEQUAL)
    def test_what_is_missing_is_unequal(self, found_by: Callable[[str], str]) -> None:
        assert {asked: found_by(asked) for asked in UNEQUAL} == {asked: found for asked, (found, _) in UNEQUAL.items()}

    @within(Limit.MISSING_IS_UNEQUAL)
    def test_what_is_missing_is_not_compared(self, found_by: Callable[[str], str]) -> None:
        assert {asked: found_by(asked) for asked in UNEQUAL} == {asked: found for asked, (_, found) in UNEQUAL.items()}

    @beyond(Limit.LISTS_OF_NAMES)
    def test_one_of_several_texts_is_found(self, found_by: Callable[[str], str]) -> None:
        assert {asked: found_by(asked) for asked in LISTS} == LISTS

    @within(Limit.LISTS_OF_NAMES)
    @pytest.mark.parametrize("asked", LISTS)
    def test_a_list_of_texts_is_refused(self, store: TrackingStore, experiment: Experiment, asked: str) -> None:
        with pytest.raises(InvalidInput):
            store.search_runs([experiment.experiment_id], Query(filter=asked))

    def test_a_run_is_found_by_its_id(self, store: TrackingStore, runs: dict[str, Run]) -> None:
        ids = ", ".join(f"'{runs[name].run_id}'" for name in "ac")
        for asked, wanted in (
            (f"run_id = '{runs['a'].run_id}'", "a"),
            (f"attributes.run_id IN ({ids})", "ac"),
            (f"run_id NOT IN ('{runs['c'].run_id}') AND start_time > 4", "ab"),
        ):
            found = store.search_runs([runs["a"].experiment_id], Query(filter=asked)).items
            assert "".join(sorted(run.run_name for run in found)) == wanted

    @pytest.mark.parametrize("limit", [2, 5, 100])
    def test_runs_come_in_the_order_that_was_asked_for(
        self, store: TrackingStore, experiment: Experiment, runs: dict[str, Run], limit: int
    ) -> None:
        ids, found = [experiment.experiment_id], {}
        for order in ORDERS:
            each = walk(lambda query: store.search_runs(ids, query), limit, query=Query(order_by=order))
            found[order] = "".join(run.run_name for run in each)
            assert each[0] == store.get_run(each[0].run_id)
        assert found == ORDERS

    @beyond(Limit.INFINITE_VALUES)
    def test_infinity_is_smaller_or_larger_than_every_number(
        self, store: TrackingStore, experiment: Experiment
    ) -> None:
        home = experiment.experiment_id
        for name, value in (("a", math.inf), ("b", 1e308), ("c", -1e308), ("d", -math.inf), ("e", math.nan)):
            made = store.create_run(run_of(home, run_name=name))
            store.log_batch(RunBatch(run_id=made.run_id, metrics=(point("m", value),)))
        for order, wanted in (("metrics.m DESC", "abcde"), ("metrics.m", "dcbae")):
            found = walk(lambda query: store.search_runs([home], query), 2, query=Query(order_by=(order,)))
            assert "".join(run.run_name for run in found) == wanted
        asked = Query(filter="metrics.m < -1e307", order_by=("run_name",))
        assert [run.run_name for run in store.search_runs([home], asked).items] == ["c", "d"]

    def test_a_page_token_belongs_to_its_query(
        self, store: TrackingStore, experiment: Experiment, runs: dict[str, Run]
    ) -> None:
        ids = [experiment.experiment_id]
        query = Query(filter="metrics.auc > 0", order_by=("metrics.auc",), limit=1)
        token = store.search_runs(ids, query).next_token
        assert store.search_runs(ids, replace(query, page_token=token, limit=2)).items
        for other in (
            replace(query, filter="metrics.auc > 0.1"),
            replace(query, order_by=("metrics.auc DESC",)),
            replace(query, order_by=()),
            replace(query, view=ViewType.ALL),
        ):
            with pytest.raises(InvalidInput, match="token"):
                store.search_runs(ids, replace(other, page_token=token))
        with pytest.raises(InvalidInput, match="token"):
            store.search_runs([], replace(query, page_token=token))

    @pytest.mark.parametrize("asked", WRONG_FILTERS)
    def test_a_filter_that_cannot_be_read_is_refused_where_it_is_wrong(self, store: TrackingStore, asked: str) -> None:
        with pytest.raises(InvalidInput, match=WRONG_FILTERS[asked]):
            store.search_runs(query=Query(filter=asked))

    @pytest.mark.parametrize("term", WRONG_ORDERS)
    def test_an_order_that_cannot_be_read_is_refused(self, store: TrackingStore, term: str) -> None:
        with pytest.raises(InvalidInput, match="order is wrong"):
            store.search_runs(query=Query(order_by=(term,)))

    def test_a_view_shows_a_stage_of_life(
        self, store: TrackingStore, experiment: Experiment, runs: dict[str, Run]
    ) -> None:
        for name in "ad":
            store.move_run(runs[name].run_id, LifecycleStage.DELETED)
        for view, wanted in ((ViewType.ACTIVE_ONLY, "bcef"), (ViewType.DELETED_ONLY, "ad"), (ViewType.ALL, "abcdef")):
            for order in ((), ("metrics.auc",), ("params.depth",), ("run_name",)):
                query = Query(view=view, order_by=order)
                found = walk(lambda query: store.search_runs([experiment.experiment_id], query), 2, query=query)
                assert sorted(run.run_name for run in found) == list(wanted)
                assert {run.lifecycle_stage for run in found} <= set(LifecycleStage)

    def test_experiments_are_searched(self, store: TrackingStore) -> None:
        for name, team in (("pear", "north"), ("apple", None), ("fig", "south")):
            store.create_experiment(name, {"team": team} if team else None)
        for asked, wanted in (
            ("name = 'fig'", ["fig"]),
            ("attributes.name LIKE '%p%'", ["apple", "pear"]),
            ("tags.team = 'north'", ["pear"]),
            ("tags.team != 'north' AND name LIKE '%i%'", ["fig"]),
            ("tags.team IS NULL AND name ILIKE 'APP%'", ["apple"]),
            ("creation_time > 0 AND tags.team IS NOT NULL", ["fig", "pear"]),
        ):
            query = Query(filter=asked, order_by=("name ASC",))
            assert [found.name for found in walk(store.search_experiments, 1, query=query)] == wanted
        pear = store.find_experiment("pear")
        assert pear is not None
        query = Query(filter=f"experiment_id = '{pear.experiment_id}'")
        assert store.search_experiments(query).items == (pear,)
        with pytest.raises(InvalidInput, match=r"no attribute 'run_id'.*experiment_id, name"):
            store.search_experiments(Query(filter="run_id = 'x'"))
        with pytest.raises(InvalidInput, match=r"there are no 'metrics'"):
            store.search_experiments(Query(order_by=("metrics.x",)))
