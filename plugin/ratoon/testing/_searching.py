"""What a tracking store must find, and in which order, as tests; a part of its contract."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from ratoon.entities import Experiment, LifecycleStage, Metric, Query, Run, RunBatch, RunStatus, ViewType
from ratoon.errors import InvalidInput
from ratoon.stores.protocol import TrackingStore
from ratoon.testing._batches import Stored
from ratoon.testing.paging import walk
from ratoon.testing.values import dataset_input, model_of, point, run_of

# name: start time, metric auc, params, tags; in the order of their creation
RUNS: dict[str, tuple[int, float | None, dict[str, str], dict[str, str]]] = {
    "a": (5, 0.5, {"depth": "3", "max features": "sqrt"}, {"team": "cellar"}),
    "b": (4, 0.75, {"depth": "10"}, {"team": "Cellar", "odd/key-1.x": "it's"}),
    "c": (3, math.nan, {"depth": "3"}, {}),
    "d": (2, None, {}, {"team": "vineyard"}),
    "e": (2, -math.inf, {"depth": ""}, {"team": "cell_r"}),
    "f": (1, 0.75, {"depth": "Größe"}, {"team": "100%"}),
}

FILTERS: dict[str, str] = {
    "": "abcdef",
    "metrics.auc > 0.5": "bf",
    "metrics.auc >= 0.5": "abf",
    "metric.auc < 0.75": "ae",
    "metrics.auc <= .75": "abef",
    "metrics.auc = 7.5e-1": "bf",
    "metrics.auc != 0.75": "ace",
    "metrics.`auc` > 0.5 and metrics.auc < 1": "bf",
    "metrics.nothing > 0": "",
    "params.depth = '3'": "ac",
    "param.depth = '3' AND metrics.auc > 0": "a",
    "parameters.depth != '3'": "bdef",
    "params.depth LIKE '1_'": "b",
    "params.depth LIKE '%r%'": "f",
    "params.depth LIKE 'g%'": "",
    "params.depth ILIKE 'g%'": "f",
    "params.depth = ''": "e",
    "params.depth IS NULL": "d",
    "params.depth IS NOT NULL": "abcef",
    "params.\"max features\" = 'sqrt'": "a",
    'params.`max features` = "sqrt"': "a",
    "tags.team = 'cellar'": "a",
    "tag.team ILIKE 'CELLAR'": "ab",
    "tags.team LIKE 'cell_r'": "ae",
    "tags.team LIKE '100%'": "f",
    "tags.team != 'cellar'": "bcdef",
    "tags.\"odd/key-1.x\" = 'it''s'": "b",
    'tags.odd/key-1.x = "it\'s"': "b",
    "attributes.run_name = 'a'": "a",
    "run_name IN ('a', 'b', 'x')": "ab",
    "attr.run_name NOT IN ('a', 'b', 'x')": "cdef",
    "run.status = 'RUNNING'": "abcde",
    "status != 'RUNNING'": "f",
    "start_time >= 2 AND attributes.start_time < 4": "cde",
    "created > 4": "a",
    "end_time > 0": "f",
    "dataset.name = 'wine'": "ab",
    "datasets.name = 'wine' AND dataset.context = 'test'": "b",
    "dataset.digest LIKE 'f%'": "b",
    "dataset.context IN ('training', 'other')": "a",
}
ORDERS: dict[tuple[str, ...], str] = {
    (): "abcedf",
    ("start_time ASC",): "fedcba",
    ("attributes.start_time DESC",): "abcedf",
    ("metrics.auc DESC",): "bfaecd",
    ("metrics.auc",): "eabfcd",
    ("params.depth ASC",): "ebacfd",
    ("params.depth DESC",): "facbed",
    ("params.depth", "metrics.auc DESC"): "ebacfd",
    ("tags.team",): "fbeadc",
    ("run_name DESC",): "fedcba",
    ("status DESC", "run_name"): "abcdef",
    ("end_time",): "fabced",
    ("metrics.nothing", "metrics.auc DESC"): "bfaecd",
}
# Where it is wrong, and what the message must show.
WRONG_FILTERS: dict[str, str] = {
    "metrics.auc > 0.9 OR metrics.auc < 0.1": "character 19.*AND is expected, not 'OR'",
    "(metrics.auc > 0.9)": "character 1.*not '\\('",
    "metrics.auc > 'high'": "character 1.*a number without quotes",
    "params.depth > '3'": "character 1.*cannot be compared by >",
    "params.depth = 3": "character 1.*a 'string' in quotes",
    "params.depth = x": "character 16",
    "metrics.auc >": "character 14.*not the end",
    "metrics.auc": "character 12.*an operator",
    "metrics.auc > 1 AND": "character 20.*not the end",
    "metrics.auc > 1 metrics.b > 1": "character 17.*AND is expected",
    "colour = 'red'": "character 1.*there is no attribute 'colour'.*run_name",
    "colours.red = '1'": "character 1.*there are no 'colours'",
    "dataset.colour = '1'": "name, digest, context",
    "params.depth = 'x": "character 16.*never closed",
    "params.depth IN '3'": "character 17.*'\\('",
    "params.depth IN ('3'": "character 21",
    "params.depth NOT '3'": "character 14.*an operator",
    "tags. = '3'": "character 7",
    "a ; b": "character 3",
}
WRONG_ORDERS = ("colour", "metrics.auc DOWN", "metrics.auc DESC, b", "", "dataset.name", "metrics", "'a'", "colours.x")


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


def _run(name: str, experiment_id: str) -> Run:
    start, _, params, tags = RUNS[name]
    return run_of(experiment_id, run_name=name, start_time=start, params=params, tags=tags)


class SearchRules(_Searched):
    """A search finds what fulfils its filter, in the order that it names, page by page."""

    @pytest.mark.parametrize("asked", FILTERS)
    def test_runs_that_fulfil_a_filter_are_found(
        self, store: TrackingStore, experiment: Experiment, runs: dict[str, Run], asked: str
    ) -> None:
        found = store.search_runs([experiment.experiment_id], Query(filter=asked)).items
        assert "".join(sorted(run.run_name for run in found)) == FILTERS[asked]

    def test_a_run_is_found_by_its_id(self, store: TrackingStore, runs: dict[str, Run]) -> None:
        ids = ", ".join(f"'{runs[name].run_id}'" for name in "ac")
        for asked, wanted in (
            (f"run_id = '{runs['a'].run_id}'", "a"),
            (f"attributes.run_id IN ({ids})", "ac"),
            (f"run_id NOT IN ({ids}) AND run_name IN ('a', 'b', 'c')", "ab"),
        ):
            found = store.search_runs(query=Query(filter=asked)).items
            assert "".join(sorted(run.run_name for run in found)) == wanted

    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.parametrize("limit", [1, 2, 5, 6, 100])
    def test_runs_come_in_the_order_that_was_asked_for(
        self, store: TrackingStore, experiment: Experiment, runs: dict[str, Run], order: tuple[str, ...], limit: int
    ) -> None:
        ids = [experiment.experiment_id]
        found = walk(lambda query: store.search_runs(ids, query), limit, query=Query(order_by=order))
        assert "".join(run.run_name for run in found) == ORDERS[order]
        assert found[0] == store.get_run(found[0].run_id)

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
            ("tags.team != 'north' AND name IN ('fig', 'apple')", ["apple", "fig"]),
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

    def test_models_are_searched(self, store: TrackingStore, run: Run) -> None:
        made = [
            store.create_model(model_of(run, name=name, creation_timestamp=time, params=params, tags=params))
            for name, time, params in (("x", 3, {"depth": "3"}), ("y", 1, {}), ("z", 2, {"depth": "4"}))
        ]
        for model, auc in zip(made, (0.5, math.nan, 0.75), strict=True):
            metric = Metric("auc", auc, 1, 0, model_id=model.model_id, dataset_name="wine", dataset_digest="ff")
            store.log_batch(RunBatch(run_id=run.run_id, metrics=(metric,)))
        for asked, order, wanted in (
            ("", (), "xzy"),
            ("metrics.auc > 0.1", ("metrics.auc DESC",), "zx"),
            ("", ("metrics.auc",), "xzy"),
            ("", ("metrics.none", "creation_timestamp"), "yzx"),
            ("params.depth = '3'", (), "x"),
            ("tags.depth != '3'", (), "zy"),
            ("name IN ('x', 'y')", ("attributes.name",), "xy"),
            (f"source_run_id = '{run.run_id}' AND status = 'PENDING'", ("creation_time",), "yzx"),
            (f"model_id = '{made[1].model_id}'", (), "y"),
        ):
            for ids in ((), (run.experiment_id,)):
                query = Query(filter=asked, order_by=order)
                found = walk(lambda query, ids=ids: store.search_models(ids, query), 1, query=query)
                assert "".join(model.name for model in found) == wanted
        assert store.search_models(["987654321"]).items == ()
