"""What a tracking store must do with the models that runs produce, as tests; a part of its contract."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from ratoon.entities import MeasuredOn, Metric, Model, ModelOutput, ModelQuery, ModelStatus, Query, Run, RunBatch
from ratoon.errors import AlreadyExists, InvalidInput, NotFound
from ratoon.stores.protocol import TrackingStore
from ratoon.testing._batches import Stored
from ratoon.testing.limits import Limit, beyond, within
from ratoon.testing.paging import walk
from ratoon.testing.values import model_of, run_of

NOBODY = "0" * 32
WINE = ("wine", "wine-digest")


class ModelRules(Stored):
    """Models read back equal; they are annotated, measured, linked to runs and deleted."""

    def test_a_model_reads_back_equal_and_belongs_to_its_run(self, store: TrackingStore, run: Run) -> None:
        wanted = model_of(run, model_type="classifier", params={"depth": "3"}, tags={"note": "Größe"})
        made = store.create_model(wanted)
        times = {"creation_timestamp": made.creation_timestamp, "last_updated_timestamp": made.last_updated_timestamp}
        assert made == replace(wanted, model_id=made.model_id, artifact_uri=made.artifact_uri, **times)
        assert store.get_model(made.model_id) == made
        assert store.run_models(run.run_id) == [made]
        assert store.get_run(run.run_id).model_outputs == (ModelOutput(model_id=made.model_id),)

    @beyond(Limit.GIVEN_IDS)
    def test_a_model_is_stored_under_its_id_with_its_times(self, store: TrackingStore, run: Run) -> None:
        wanted = model_of(run)
        assert store.create_model(wanted) == wanted
        assert store.get_model(wanted.model_id) == wanted

    @pytest.mark.parametrize("status", [ModelStatus.READY, ModelStatus.FAILED])
    def test_a_model_is_finalized(self, store: TrackingStore, run: Run, status: ModelStatus) -> None:
        model = store.create_model(model_of(run))
        done = store.finalize_model(model.model_id, status)
        assert done.status == status
        assert done.last_updated_timestamp >= model.last_updated_timestamp
        assert store.get_model(model.model_id) == done

    def test_models_of_a_run_are_listed_oldest_first(self, store: TrackingStore, run: Run) -> None:
        made = [store.create_model(model_of(run, creation_timestamp=time)) for time in (3, 5, 9)]
        assert store.run_models(run.run_id) == made
        assert store.run_models(NOBODY) == []

    @beyond(Limit.GIVEN_IDS)
    def test_a_model_id_is_unique(self, store: TrackingStore, run: Run) -> None:
        model = store.create_model(model_of(run))
        with pytest.raises(AlreadyExists, match=model.model_id):
            store.create_model(model_of(run, model_id=model.model_id, name="other"))
        assert store.get_model(model.model_id) == model

    def test_an_unknown_model_or_owner_is_not_found(self, store: TrackingStore, run: Run) -> None:
        unknown = f"m-{NOBODY}"
        with pytest.raises(NotFound, match=unknown):
            store.get_model(unknown)
        with pytest.raises(NotFound):
            store.finalize_model(unknown, ModelStatus.READY)
        with pytest.raises(NotFound):
            store.create_model(model_of(run, model_id=unknown, experiment_id="987654321"))
        with pytest.raises(NotFound):
            store.get_model(unknown)

    def test_a_model_is_annotated(self, store: TrackingStore, run: Run) -> None:
        model = store.create_model(model_of(run, params={"depth": "3"}, tags={"a": "1", "b": "2"}))
        changed = store.annotate_model(model.model_id, tags={"a": None, "b": "3", "c": "4"}, params={"seed": "0"})
        assert (changed.tags, changed.params) == ({"b": "3", "c": "4"}, {"depth": "3", "seed": "0"})
        assert store.get_model(model.model_id) == changed
        with pytest.raises(InvalidInput, match=r"depth.*'3'.*'4'"):
            store.annotate_model(model.model_id, tags={"b": "5"}, params={"depth": "4"})
        assert store.get_model(model.model_id).tags == {"b": "3", "c": "4"}

    def test_what_was_measured_of_a_model_is_kept_by_run_and_dataset(self, store: TrackingStore, run: Run) -> None:
        model = store.create_model(model_of(run))
        other = store.create_run(run_of(run.experiment_id))

        def measured(value: float, step: int, dataset: str | None) -> Metric:
            digest = "ff" if dataset else None
            return Metric("auc", value, 1, step, model_id=model.model_id, dataset_name=dataset, dataset_digest=digest)

        batches = [(run, (0.5, 2, "wine")), (run, (0.1, 1, "wine")), (run, (0.6, 3, None)), (other, (0.7, 0, "wine"))]
        for where, values in batches:
            store.log_batch(RunBatch(run_id=where.run_id, metrics=(measured(*values),)))
        found = store.get_model(model.model_id).metrics
        told = {(each.run_id, each.dataset_name, each.dataset_digest, each.value, each.step) for each in found}
        assert told == {
            (run.run_id, "wine", "ff", 0.5, 2),
            (run.run_id, None, None, 0.6, 3),
            (other.run_id, "wine", "ff", 0.7, 0),
        }
        assert len(found) == 3 and {each.model_id for each in found} == {model.model_id}
        assert len(store.metric_history(run.run_id, "auc")) == 3

    @beyond(Limit.DATASETS_AT_A_STEP)
    def test_a_model_is_measured_on_several_datasets_at_once(self, store: TrackingStore, run: Run) -> None:
        model_id = store.create_model(model_of(run)).model_id
        points = [Metric("auc", value, 1, 1, model_id, name, "ff") for value, name in ((0.5, "wine"), (0.6, "beer"))]
        store.log_batch(RunBatch(run_id=run.run_id, metrics=tuple(points)))
        found = {each.dataset_name: each.value for each in store.get_model(model_id).metrics}
        assert found == {"wine": 0.5, "beer": 0.6}

    @within(Limit.DATASETS_AT_A_STEP)
    def test_a_second_dataset_at_a_step_is_refused(self, store: TrackingStore, run: Run) -> None:
        model_id = store.create_model(model_of(run)).model_id
        points = [Metric("auc", value, 1, 1, model_id, name, "ff") for value, name in ((0.5, "wine"), (0.6, "beer"))]
        with pytest.raises(InvalidInput, match="one dataset"):
            store.log_batch(RunBatch(run_id=run.run_id, metrics=tuple(points)))
        assert store.get_model(model_id).metrics == ()
        assert store.get_run(run.run_id).metrics == {}

    def test_a_metric_of_an_unknown_model_is_refused(self, store: TrackingStore, run: Run) -> None:
        metric = Metric("auc", 0.5, 1, 0, model_id=f"m-{NOBODY}")
        with pytest.raises(NotFound, match=NOBODY):
            store.log_batch(RunBatch(run_id=run.run_id, metrics=(metric,)))
        assert store.get_run(run.run_id).metrics == {}

    def test_a_run_knows_the_models_that_it_used_and_produced(self, store: TrackingStore, run: Run) -> None:
        used, made = (store.create_model(model_of(run, source_run_id=None)).model_id for _ in range(2))
        own = store.create_model(model_of(run)).model_id
        for _ in range(2):
            store.log_inputs(run.run_id, [], [used])
            store.log_outputs(run.run_id, [ModelOutput(model_id=made, step=7)])
        found = store.get_run(run.run_id)
        assert found.model_inputs == (used,)
        assert set(found.model_outputs) == {ModelOutput(model_id=own), ModelOutput(model_id=made, step=7)}
        assert {model.model_id for model in store.run_models(run.run_id)} == {own, made}
        with pytest.raises(NotFound):
            store.log_outputs(NOBODY, [ModelOutput(model_id=made)])
        with pytest.raises(NotFound):
            store.log_inputs(NOBODY, [], [made])

    def test_a_deleted_model_is_not_found(self, store: TrackingStore, run: Run) -> None:
        model = store.create_model(model_of(run))
        store.delete_model(model.model_id)
        for call in (
            lambda: store.get_model(model.model_id),
            lambda: store.delete_model(model.model_id),
            lambda: store.finalize_model(model.model_id, ModelStatus.READY),
            lambda: store.annotate_model(model.model_id, tags={"a": "b"}),
        ):
            with pytest.raises(NotFound, match=model.model_id):
                call()
        assert store.run_models(run.run_id) == []
        assert store.search_models().items == ()


class ModelSearchRules(Stored):
    """A search of models finds what fulfils its filter, in the order that it names."""

    def test_models_are_searched(self, store: TrackingStore, run: Run) -> None:
        made = [
            store.create_model(model_of(run, name=name, creation_timestamp=time, params=params, tags=params))
            for name, time, params in (("x", 1, {"depth": "3"}), ("y", 2, {}), ("z", 3, {"depth": "4"}))
        ]
        for model, auc in zip(made, (0.5, -0.5, 0.75), strict=True):
            _measure(store, run, model, auc)
        for asked, order, wanted in (
            ("", (), "zyx"),
            ("metrics.auc > 0.1", ("metrics.auc DESC",), "zx"),
            ("", ("metrics.auc",), "yxz"),
            ("", ("metrics.none", "creation_timestamp"), "xyz"),
            ("params.depth = '3'", (), "x"),
            ("tags.depth = '4'", ("attributes.name",), "z"),
            ("name LIKE '_' AND name != 'x'", ("name DESC",), "zy"),
            (f"source_run_id = '{run.run_id}'", ("creation_time",), "xyz"),
            (f"model_id = '{made[1].model_id}'", (), "y"),
        ):
            for ids in ((), (run.experiment_id,)):
                query = Query(filter=asked, order_by=order)
                found = walk(lambda query, ids=ids: store.search_models(ids, query), 1, query=query)
                assert "".join(model.name for model in found) == wanted
        assert store.search_models(["987654321"]).items == ()

    def test_models_are_searched_by_what_was_measured_on_a_dataset(self, store: TrackingStore, run: Run) -> None:
        figures = {"x": {"wine": 0.5, "beer": 0.9}, "y": {"wine": 0.7}, "z": {"beer": 0.1}, "none": {}}
        for name, measured in figures.items():
            model = store.create_model(model_of(run, name=name))
            for time, (dataset, auc) in enumerate(measured.items()):
                metric = Metric("auc", auc, time, time, model.model_id, dataset, f"{dataset}-digest")
                store.log_batch(RunBatch(run_id=run.run_id, metrics=(metric,)))
        wine, beer, other = (MeasuredOn(*each) for each in (WINE, ("beer", "beer-digest"), ("wine", "other")))
        for asked, datasets, order, wanted in (
            ("metrics.auc > 0.6", (wine,), wine, "y"),
            ("metrics.auc > 0.6", (beer,), wine, "x"),
            ("metrics.auc > 0.6", (beer, wine), wine, "yx"),
            ("metrics.auc > 0.6", (beer, wine), beer, "xy"),
            ("metrics.auc > 0.6", (other,), wine, ""),
            ("", (wine,), wine, "yx"),
            ("name != 'x'", (beer,), wine, "z"),
            ("metrics.auc > 0.4", (), wine, "yx"),
        ):
            query = ModelQuery(filter=asked, datasets=datasets, order_by=("metrics.auc DESC",), order_datasets=(order,))
            found = walk(lambda query: store.search_models((), query), 1, query=query)
            assert "".join(model.name for model in found) == wanted, (asked, datasets, order)

    @beyond(Limit.DATASETS_BY_NAME)
    def test_a_dataset_is_found_by_its_name(self, store: TrackingStore, run: Run) -> None:
        model = store.create_model(model_of(run))
        _measure(store, run, model, 0.5)
        for name, found in (("wine", [model.model_id]), ("beer", [])):
            query = ModelQuery(filter="metrics.auc > 0.1", datasets=(MeasuredOn(name),))
            assert [each.model_id for each in store.search_models((), query).items] == found

    @within(Limit.DATASETS_BY_NAME)
    def test_a_dataset_without_its_digest_is_refused(self, store: TrackingStore) -> None:
        with pytest.raises(InvalidInput, match="'wine'.*digest"):
            store.search_models((), ModelQuery(datasets=(MeasuredOn("wine"),)))

    def test_an_order_by_a_dataset_needs_a_metric(self, store: TrackingStore, run: Run) -> None:
        for order in (("name",), ()):
            with pytest.raises(InvalidInput, match="dataset"):
                store.search_models((), ModelQuery(order_by=order, order_datasets=(MeasuredOn("wine"),)))

    def test_a_page_token_belongs_to_its_datasets(self, store: TrackingStore, run: Run) -> None:
        for _ in range(2):
            _measure(store, run, store.create_model(model_of(run)), 0.5)
        query = ModelQuery(datasets=(MeasuredOn("wine", "ff"),), limit=1)
        token = store.search_models((), query).next_token
        assert len(store.search_models((), replace(query, page_token=token)).items) == 1
        with pytest.raises(InvalidInput, match="token"):
            store.search_models((), replace(query, page_token=token, datasets=()))

    @beyond(Limit.STATUS_OF_MODELS)
    def test_models_are_searched_by_their_status(self, store: TrackingStore, run: Run) -> None:
        models = [store.create_model(model_of(run)) for _ in range(2)]
        ready = store.finalize_model(models[0].model_id, ModelStatus.READY)
        assert store.search_models(query=Query(filter="status = 'READY'")).items == (ready,)

    @within(Limit.STATUS_OF_MODELS)
    def test_a_search_of_models_by_their_status_is_refused(self, store: TrackingStore) -> None:
        with pytest.raises(InvalidInput, match="status"):
            store.search_models(query=Query(filter="status = 'READY'"))

    @beyond(Limit.NAN_BEHIND)
    def test_a_model_whose_metric_is_nan_comes_behind_others(self, store: TrackingStore, run: Run) -> None:
        assert _ordered_with_nan(store, run) == ["xzy", "zxy"]

    @within(Limit.NAN_BEHIND)
    def test_a_model_whose_metric_is_nan_comes_first_or_last(self, store: TrackingStore, run: Run) -> None:
        assert {found.index("y") for found in _ordered_with_nan(store, run)} <= {0, 2}


def _measure(store: TrackingStore, run: Run, model: Model, value: float, dataset: str = "wine") -> None:
    metric = Metric("auc", value, 1, 0, model_id=model.model_id, dataset_name=dataset, dataset_digest="ff")
    store.log_batch(RunBatch(run_id=run.run_id, metrics=(metric,)))


def _ordered_with_nan(store: TrackingStore, run: Run) -> list[str]:
    """The names of three models, by a metric that rises and by one that falls."""
    for name, auc in (("x", 0.5), ("y", math.nan), ("z", 0.75)):
        _measure(store, run, store.create_model(model_of(run, name=name)), auc)
    orders = (("metrics.auc",), ("metrics.auc DESC",))
    found = [walk(lambda query: store.search_models((), query), 1, query=Query(order_by=order)) for order in orders]
    return ["".join(model.name for model in each) for each in found]
