"""What a tracking store must do, as tests. See :mod:`ratoon.stores.protocol` for the documented behaviour."""

from __future__ import annotations

import uuid

import pytest

from ratoon.entities import Experiment, LifecycleStage, Run, RunBatch, RunStatus
from ratoon.errors import AlreadyExists, InvalidInput, NotFound
from ratoon.stores.protocol import TrackingStore
from ratoon.testing._batches import BatchRules, PointRules, Stored
from ratoon.testing._lifecycle import LifecycleRules, TagRules
from ratoon.testing._models import ModelRules, ModelSearchRules
from ratoon.testing._searching import SearchRules
from ratoon.testing.limits import Limit, beyond, within
from ratoon.testing.paging import check_refusals, walk
from ratoon.testing.values import at_once, dataset_input, refused, run_of, told

NOBODY = "0" * 32
TEXTS = ("", " ", "Größe ≥ 3 \N{SEEDLING}", "line\nbreak\ttab", "'; DROP TABLE runs; --", "{}", "NULL", "%s %(x)s :x ?")


class _ExperimentRules(Stored):
    def test_an_experiment_reads_back_equal(self, store: TrackingStore) -> None:
        created = store.create_experiment("Größe ≥ 3", {"team": "cellar", "empty": ""})
        assert (created.name, created.tags) == ("Größe ≥ 3", {"team": "cellar", "empty": ""})
        assert created.lifecycle_stage == LifecycleStage.ACTIVE
        assert created.artifact_location and created.creation_time > 0
        assert store.get_experiment(created.experiment_id) == created
        assert store.find_experiment("Größe ≥ 3") == created

    def test_the_name_of_an_experiment_is_unique(self, store: TrackingStore, experiment: Experiment) -> None:
        with pytest.raises(AlreadyExists, match="wine"):
            store.create_experiment("wine", {"other": "tag"})
        assert store.get_experiment(experiment.experiment_id) == experiment

    def test_a_name_is_found_however_its_letters_are_composed(self, store: TrackingStore) -> None:
        created = store.create_experiment("cafe\N{COMBINING ACUTE ACCENT}")
        assert store.find_experiment("caf\N{LATIN SMALL LETTER E WITH ACUTE}") == created

    def test_of_many_that_create_one_experiment_exactly_one_does(self, store: TrackingStore) -> None:
        answers = at_once(lambda _: store.create_experiment("race"), 8)
        assert [type(error) for error in refused(answers)] == [AlreadyExists] * 7
        assert [found.name for found in store.search_experiments().items].count("race") == 1

    def test_an_unknown_experiment_is_not_found(self, store: TrackingStore, experiment: Experiment) -> None:
        assert store.find_experiment("nobody") is None
        for unknown in ("987654321", "9" * 17, "9" * 40, "0" * 17 + experiment.experiment_id + "9"):
            with pytest.raises(NotFound):
                store.get_experiment(unknown)

    @pytest.mark.parametrize("name", ["", " ", " wine", "wine ", "a\nb", "a\0b", "\ud800", "x" * 501, None, 3])
    def test_a_name_that_could_be_mistaken_is_refused(self, store: TrackingStore, name: str) -> None:
        before = store.search_experiments()
        with pytest.raises(InvalidInput):
            store.create_experiment(name)
        assert store.search_experiments() == before

    def test_experiments_are_listed_newest_first_page_by_page(self, store: TrackingStore) -> None:
        before = store.search_experiments().items
        made = [store.create_experiment(f"e{number}") for number in range(5)]
        for limit in (1, 2, 5, 7):
            assert walk(store.search_experiments, limit) == [*made[::-1], *before]

    @beyond(Limit.STEADY_PAGES)
    def test_experiments_that_come_between_pages_move_no_item(self, store: TrackingStore) -> None:
        before = store.search_experiments().items
        made = [store.create_experiment(f"e{number}") for number in range(5)]
        seen = walk(store.search_experiments, 2, lambda: store.create_experiment(uuid.uuid4().hex))
        assert seen == [*made[::-1], *before]

    @within(Limit.STEADY_PAGES)
    def test_experiments_that_come_between_pages_hide_none(self, store: TrackingStore) -> None:
        made = [store.create_experiment(f"e{number}") for number in range(5)]
        new = iter(("n0", "n1"))
        seen = walk(store.search_experiments, 2, lambda: store.create_experiment(next(new, uuid.uuid4().hex)))
        assert all(each in seen for each in made)

    def test_pages_of_experiments_that_make_no_sense_are_refused(self, store: TrackingStore) -> None:
        check_refusals(store.search_experiments)


class _RunRules(Stored):
    def test_a_run_reads_back_equal(self, store: TrackingStore, experiment: Experiment) -> None:
        wanted = run_of(
            experiment.experiment_id,
            run_name="Größe \N{SEEDLING}",
            status=RunStatus.SCHEDULED,
            end_time=1_700_000_000_001,
            params={f"p{number}": text for number, text in enumerate(TEXTS)},
            tags={f"t/{number}": text for number, text in enumerate(TEXTS)},
        )
        made = store.create_run(wanted)
        assert made == told(wanted, made)
        assert store.get_run(made.run_id) == made

    @beyond(Limit.GIVEN_IDS)
    def test_a_run_is_stored_under_its_id_with_its_place(self, store: TrackingStore, experiment: Experiment) -> None:
        wanted = run_of(experiment.experiment_id)
        made = store.create_run(wanted)
        assert (made.run_id, made.artifact_uri) == (wanted.run_id, wanted.artifact_uri)
        assert store.get_run(wanted.run_id) == made

    @within(Limit.GIVEN_IDS)
    def test_a_run_gets_an_id_of_its_own(self, store: TrackingStore, experiment: Experiment) -> None:
        wanted = run_of(experiment.experiment_id, params={"a": "1"})
        ids = {wanted.run_id, *(store.create_run(wanted).run_id for _ in range(2))}
        assert len(ids) == 3
        with pytest.raises(NotFound):
            store.get_run(wanted.run_id)

    @beyond(Limit.GIVEN_IDS)
    def test_creating_a_run_twice_returns_the_first(self, store: TrackingStore, experiment: Experiment) -> None:
        first = store.create_run(run_of(experiment.experiment_id, params={"a": "1"}))
        again = run_of(experiment.experiment_id, run_id=first.run_id, run_name="other", params={"a": "2", "b": "3"})
        assert store.create_run(again) == first
        assert store.get_run(first.run_id) == first
        assert len(store.search_runs().items) == 1

    @beyond(Limit.GIVEN_IDS)
    def test_creating_a_run_from_many_threads_makes_one(self, store: TrackingStore, experiment: Experiment) -> None:
        run = run_of(experiment.experiment_id, params={"a": "1"}, tags={"b": "2"})
        assert at_once(lambda _: store.create_run(run), 8) == [run] * 8
        assert store.search_runs().items == (run,)

    def test_a_run_of_an_unknown_experiment_is_not_found(self, store: TrackingStore) -> None:
        run = run_of("987654321")
        with pytest.raises(NotFound):
            store.create_run(run)
        with pytest.raises(NotFound):
            store.get_run(run.run_id)

    @pytest.mark.parametrize("change", [{"params": {"../up": "1"}}, {"tags": {"a": "\0"}}, {"run_name": "a\nb"}])
    def test_a_run_that_cannot_be_read_back_is_not_stored(
        self, store: TrackingStore, experiment: Experiment, change: dict[str, object]
    ) -> None:
        with pytest.raises(InvalidInput):
            store.create_run(run_of(experiment.experiment_id, **change))
        assert store.search_runs().items == ()

    def test_a_run_that_nobody_created_is_not_found(self, store: TrackingStore, experiment: Experiment) -> None:
        with pytest.raises(NotFound, match=NOBODY):
            store.get_run(NOBODY)
        with pytest.raises(NotFound):
            store.update_run(NOBODY, status=RunStatus.FINISHED)
        with pytest.raises(NotFound):
            store.log_batch(RunBatch(run_id=NOBODY, tags={"a": "b"}))
        with pytest.raises(NotFound):
            store.log_inputs(NOBODY, [dataset_input()])
        with pytest.raises(NotFound):
            store.metric_history(NOBODY, "loss")

    def test_an_update_changes_what_is_given_and_nothing_else(self, store: TrackingStore, run: Run) -> None:
        ended = store.update_run(run.run_id, status=RunStatus.FAILED, end_time=1_700_000_000_009)
        assert (ended.status, ended.end_time) == (RunStatus.FAILED, 1_700_000_000_009)
        assert store.update_run(run.run_id, run_name="new").end_time == 1_700_000_000_009
        assert store.update_run(run.run_id, end_time=1_700_000_000_010).status == RunStatus.FAILED
        killed = store.update_run(run.run_id, status=RunStatus.KILLED)
        assert (killed.run_name, killed.end_time) == ("new", 1_700_000_000_010)
        assert store.get_run(run.run_id) == killed

    def test_a_run_that_goes_on_has_no_end(self, store: TrackingStore, run: Run) -> None:
        store.update_run(run.run_id, status=RunStatus.FINISHED, end_time=1_700_000_000_009)
        assert store.update_run(run.run_id, status=RunStatus.RUNNING).end_time is None


class _RunListRules(Stored):
    def test_runs_are_listed_last_started_first(self, store: TrackingStore, experiment: Experiment) -> None:
        starts = [5, 1, 9, 2, 7]
        made = [store.create_run(run_of(experiment.experiment_id, start_time=start)) for start in starts]
        wanted = [made[number].run_id for number in (2, 4, 0, 3, 1)]
        for limit in (1, 2, 5, 6):
            assert [run.run_id for run in walk(store.search_runs, limit)] == wanted

    @beyond(Limit.TIES_BY_AGE)
    def test_of_runs_that_started_together_the_newest_comes_first(
        self, store: TrackingStore, experiment: Experiment
    ) -> None:
        made = [store.create_run(run_of(experiment.experiment_id, start_time=3)).run_id for _ in range(4)]
        for limit in (1, 3, 5):
            assert [run.run_id for run in walk(store.search_runs, limit)] == made[::-1]

    @within(Limit.TIES_BY_AGE)
    def test_runs_that_started_together_come_in_one_order(self, store: TrackingStore, experiment: Experiment) -> None:
        made = {store.create_run(run_of(experiment.experiment_id, start_time=3)).run_id for _ in range(4)}
        orders = {tuple(run.run_id for run in walk(store.search_runs, limit)) for limit in (1, 3, 5)}
        assert [set(order) for order in orders] == [made]

    def test_runs_are_listed_by_experiment(self, store: TrackingStore) -> None:
        first, second, third = (store.create_experiment(name).experiment_id for name in "abc")
        runs = {found: store.create_run(run_of(found)) for found in (first, second, third)}
        assert store.search_runs([first]).items == (runs[first],)
        assert {run.run_id for run in store.search_runs([first, third]).items} == {
            runs[first].run_id,
            runs[third].run_id,
        }
        assert len(store.search_runs().items) == 3
        assert store.search_runs(["987654321"]).items == ()

    @within(Limit.STEADY_PAGES)
    def test_runs_that_come_between_pages_hide_none(self, store: TrackingStore, experiment: Experiment) -> None:
        made = {store.create_run(run_of(experiment.experiment_id, start_time=start)).run_id for start in range(5)}
        later = run_of(experiment.experiment_id, start_time=9)
        seen = {run.run_id for run in walk(store.search_runs, 2, lambda: store.create_run(later))}
        assert made <= seen

    @beyond(Limit.STEADY_PAGES)
    def test_runs_that_come_between_pages_move_no_item(self, store: TrackingStore, experiment: Experiment) -> None:
        made = [store.create_run(run_of(experiment.experiment_id, start_time=start)) for start in (3, 3, 3, 2, 1)]
        later = run_of(experiment.experiment_id, start_time=4)
        seen = walk(store.search_runs, 2, lambda: store.create_run(later))
        assert sorted(run.run_id for run in seen) == sorted(run.run_id for run in made)

    def test_pages_of_runs_that_make_no_sense_are_refused(self, store: TrackingStore) -> None:
        check_refusals(store.search_runs)


class _InputRules(Stored):
    def test_a_dataset_reads_back_equal(self, store: TrackingStore, run: Run) -> None:
        given = dataset_input("Größe", schema='{"a": "double"}', profile='{"rows": 3}')
        store.log_inputs(run.run_id, [given])
        assert store.get_run(run.run_id).inputs == (given,)

    def test_a_dataset_is_recorded_once(self, store: TrackingStore, run: Run) -> None:
        training, other = dataset_input(), dataset_input(digest="ff")
        for _ in range(2):
            store.log_inputs(run.run_id, [training, training, other])
        inputs = store.get_run(run.run_id).inputs
        assert len(inputs) == 2
        assert all(each in inputs for each in (training, other))

    @beyond(Limit.SECOND_ROLES)
    def test_a_dataset_is_recorded_once_for_each_role(self, store: TrackingStore, run: Run) -> None:
        training, test = dataset_input(), dataset_input(context="test")
        for _ in range(2):
            store.log_inputs(run.run_id, [training, test])
        inputs = store.get_run(run.run_id).inputs
        assert len(inputs) == 2
        assert all(each in inputs for each in (training, test))

    @within(Limit.SECOND_ROLES)
    def test_a_second_role_of_a_dataset_is_refused_with_the_others(self, store: TrackingStore, run: Run) -> None:
        training, test = dataset_input(), dataset_input(context="test")
        for given in ([training, test], [test, dataset_input("other")]):
            with pytest.raises(InvalidInput, match="'wine'.*one role"):
                store.log_inputs(run.run_id, given)
            store.log_inputs(run.run_id, [training])
        assert store.get_run(run.run_id).inputs == (training,)

    def test_a_dataset_that_cannot_be_read_back_is_refused_with_the_others(
        self, store: TrackingStore, run: Run
    ) -> None:
        for bad in (dataset_input("a\0b"), dataset_input(digest="f" * 65)):
            with pytest.raises(InvalidInput):
                store.log_inputs(run.run_id, [dataset_input(), bad])
        assert store.get_run(run.run_id).inputs == ()


class TrackingStoreContract(
    _ExperimentRules,
    _RunRules,
    _RunListRules,
    PointRules,
    BatchRules,
    _InputRules,
    SearchRules,
    LifecycleRules,
    TagRules,
    ModelRules,
    ModelSearchRules,
):
    """Every rule for tracking stores; subclass it and give it a fixture ``store``."""
