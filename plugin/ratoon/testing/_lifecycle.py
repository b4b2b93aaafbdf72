"""What a tracking store must do when things are renamed, deleted and restored, as tests; a part of its contract."""

from __future__ import annotations

import pytest

from ratoon.entities import (
    Experiment,
    LifecycleStage,
    ModelOutput,
    Query,
    Run,
    RunBatch,
    RunStatus,
    ViewType,
)
from ratoon.errors import AlreadyExists, InvalidInput, NotFound
from ratoon.stores.protocol import TrackingStore
from ratoon.testing._batches import Stored
from ratoon.testing.limits import Limit, beyond, within
from ratoon.testing.values import dataset_input, model_of, own_tags, point, run_of

NOBODY = "0" * 32
ACTIVE, DELETED = LifecycleStage.ACTIVE, LifecycleStage.DELETED


class LifecycleRules(Stored):
    """What is deleted can be seen and restored, and not be changed meanwhile."""

    def test_a_deleted_experiment_takes_its_runs_along_and_brings_them_back(
        self, store: TrackingStore, experiment: Experiment, run: Run
    ) -> None:
        for _ in range(2):  # deleting again changes nothing
            store.move_experiment(experiment.experiment_id, DELETED)
        assert store.get_experiment(experiment.experiment_id).lifecycle_stage == DELETED
        assert store.get_run(run.run_id).lifecycle_stage == DELETED
        for _ in range(2):
            store.move_experiment(experiment.experiment_id, ACTIVE)
        assert store.get_experiment(experiment.experiment_id).lifecycle_stage == ACTIVE
        assert store.get_run(run.run_id) == run

    @beyond(Limit.BINS)
    def test_a_run_that_was_deleted_before_its_experiment_stays_deleted(
        self, store: TrackingStore, experiment: Experiment, run: Run
    ) -> None:
        store.move_run(run.run_id, DELETED)
        for stage in (DELETED, ACTIVE):
            store.move_experiment(experiment.experiment_id, stage)
        assert store.get_run(run.run_id).lifecycle_stage == DELETED

    @within(Limit.BINS)
    def test_an_experiment_that_is_restored_brings_all_its_runs_back(
        self, store: TrackingStore, experiment: Experiment, run: Run
    ) -> None:
        store.move_run(run.run_id, DELETED)
        for stage in (DELETED, ACTIVE):
            store.move_experiment(experiment.experiment_id, stage)
        assert store.get_run(run.run_id) == run

    def test_a_deleted_experiment_is_found_where_it_is_asked_for(
        self, store: TrackingStore, experiment: Experiment
    ) -> None:
        store.move_experiment(experiment.experiment_id, DELETED)
        for view, is_found in ((ViewType.ACTIVE_ONLY, False), (ViewType.DELETED_ONLY, True), (ViewType.ALL, True)):
            found = store.search_experiments(Query(view=view)).items
            assert (experiment.experiment_id in [each.experiment_id for each in found]) == is_found
        by_name = store.find_experiment(experiment.name)
        assert by_name is not None and by_name.lifecycle_stage == DELETED

    def test_the_name_of_a_deleted_experiment_stays_taken(self, store: TrackingStore, experiment: Experiment) -> None:
        store.move_experiment(experiment.experiment_id, DELETED)
        with pytest.raises(AlreadyExists, match=experiment.name):
            store.create_experiment(experiment.name)
        other = store.create_experiment("other")
        with pytest.raises(AlreadyExists, match=experiment.name):
            store.rename_experiment(other.experiment_id, experiment.name)

    def test_a_deleted_experiment_takes_nothing(self, store: TrackingStore, experiment: Experiment, run: Run) -> None:
        store.move_experiment(experiment.experiment_id, DELETED)
        for refused in (
            lambda: store.create_run(run_of(experiment.experiment_id)),
            lambda: store.create_model(model_of(run)),
            lambda: store.rename_experiment(experiment.experiment_id, "new"),
            lambda: store.tag_experiment(experiment.experiment_id, {"a": "b"}),
        ):
            with pytest.raises(InvalidInput, match="deleted"):
                refused()
        with pytest.raises(InvalidInput, match="deleted"):
            store.move_run(run.run_id, ACTIVE)

    def test_a_deleted_run_takes_nothing(self, store: TrackingStore, run: Run) -> None:
        store.log_batch(RunBatch(run_id=run.run_id, tags={"note": "kept"}))
        for _ in range(2):
            store.move_run(run.run_id, DELETED)
        before = store.get_run(run.run_id)
        assert (before.lifecycle_stage, own_tags(before)) == (DELETED, {"note": "kept"})
        for refused in (
            lambda: store.log_batch(RunBatch(run_id=run.run_id, metrics=(point("m", 1.0),))),
            lambda: store.log_batch(RunBatch(run_id=run.run_id, params={"a": "b"})),
            lambda: store.update_run(run.run_id, status=RunStatus.RUNNING),
            lambda: store.delete_run_tag(run.run_id, "note"),
            lambda: store.log_inputs(run.run_id, [dataset_input()]),
            lambda: store.log_outputs(run.run_id, [ModelOutput(model_id=f"m-{NOBODY}")]),
        ):
            with pytest.raises(InvalidInput, match="deleted"):
                refused()
        assert store.get_run(run.run_id) == before
        store.move_run(run.run_id, ACTIVE)
        store.log_batch(RunBatch(run_id=run.run_id, metrics=(point("m", 1.0),)))
        assert store.search_runs().items == (store.get_run(run.run_id),)

    def test_an_experiment_is_renamed(self, store: TrackingStore, experiment: Experiment, run: Run) -> None:
        store.rename_experiment(experiment.experiment_id, "beer")
        renamed = store.get_experiment(experiment.experiment_id)
        assert (renamed.name, renamed.artifact_location) == ("beer", experiment.artifact_location)
        assert store.find_experiment(experiment.name) is None
        assert store.find_experiment("beer") == renamed
        store.rename_experiment(experiment.experiment_id, "beer")
        with pytest.raises(InvalidInput):
            store.rename_experiment(experiment.experiment_id, "a\nb")

    def test_what_nobody_created_cannot_be_moved(self, store: TrackingStore) -> None:
        for stage in LifecycleStage:
            with pytest.raises(NotFound):
                store.move_experiment("987654321", stage)
            with pytest.raises(NotFound):
                store.move_run(NOBODY, stage)
        with pytest.raises(NotFound):
            store.rename_experiment("987654321", "new")
        with pytest.raises(NotFound):
            store.tag_experiment("987654321", {"a": "b"})
        with pytest.raises(NotFound):
            store.delete_run_tag(NOBODY, "a")

    @beyond(Limit.PLACES)
    def test_an_experiment_keeps_its_own_place_for_files(self, store: TrackingStore) -> None:
        made = store.create_experiment("far", artifact_location="s3://bucket/far")
        assert store.get_experiment(made.experiment_id).artifact_location == "s3://bucket/far"

    @within(Limit.PLACES)
    def test_a_place_for_files_that_the_store_does_not_keep_is_refused(self, store: TrackingStore) -> None:
        with pytest.raises(InvalidInput, match="s3://bucket/far"):
            store.create_experiment("far", artifact_location="s3://bucket/far")
        made = store.create_experiment("near", artifact_location="mlflow-artifacts:/near")
        assert store.get_experiment(made.experiment_id).artifact_location == "mlflow-artifacts:/near"


class TagRules(Stored):
    """Tags are set anew and taken away."""

    def test_tags_of_an_experiment_change(self, store: TrackingStore) -> None:
        home = store.create_experiment("tagged", {"a": "1", "b": "2"}).experiment_id
        store.tag_experiment(home, {"a": None, "b": "3", "c": "4", "never": None})
        assert store.get_experiment(home).tags == {"b": "3", "c": "4"}
        for bad in ({"/up": "x"}, {"ok": "1", "long": "x" * 8001}):
            with pytest.raises(InvalidInput):
                store.tag_experiment(home, bad)
        assert store.get_experiment(home).tags == {"b": "3", "c": "4"}

    def test_a_tag_of_a_run_is_taken_away_once(self, store: TrackingStore, run: Run) -> None:
        store.log_batch(RunBatch(run_id=run.run_id, tags={"a": "1", "b": "2"}))
        store.delete_run_tag(run.run_id, "a")
        assert own_tags(store.get_run(run.run_id)) == {"b": "2"}
        with pytest.raises(NotFound, match=r"\ba\b"):
            store.delete_run_tag(run.run_id, "a")

    def test_the_name_of_a_run_and_the_tag_that_repeats_it_agree(
        self, store: TrackingStore, experiment: Experiment
    ) -> None:
        tags = {"mlflow.runName": "ripe-rice-7"}
        run = store.create_run(run_of(experiment.experiment_id, tags=tags))
        store.log_batch(RunBatch(run_id=run.run_id, tags={"mlflow.runName": "by-tag"}))
        assert store.get_run(run.run_id).run_name == "by-tag"
        assert store.update_run(run.run_id, run_name="by-name").tags == {"mlflow.runName": "by-name"}
