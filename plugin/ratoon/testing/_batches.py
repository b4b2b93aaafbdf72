"""What a tracking store must do with the batches that runs log, as tests; a part of its contract."""

from __future__ import annotations

import math

import pytest

from ratoon.entities import Experiment, Metric, Run, RunBatch
from ratoon.errors import InvalidInput
from ratoon.stores.protocol import TrackingStore
from ratoon.testing.limits import Limit, Rules, beyond, within
from ratoon.testing.values import at_once, own_tags, point, refused, run_of

INFINITE = (math.inf, -math.inf)


class Stored(Rules):
    """What every rule begins with; a subclass says where the store comes from."""

    @pytest.fixture
    def store(self) -> TrackingStore:
        """A new store; an experiment of its own, such as MLflow's Default, may be in it."""
        raise NotImplementedError("give your test class a fixture 'store' that returns a new, empty store")

    @pytest.fixture
    def experiment(self, store: TrackingStore) -> Experiment:
        """An experiment in the store."""
        return store.create_experiment("wine")

    @pytest.fixture
    def run(self, store: TrackingStore, experiment: Experiment) -> Run:
        """A run in the store, without params, metrics and tags."""
        return store.create_run(run_of(experiment.experiment_id))


class PointRules(Stored):
    """Points of metrics read back equal, the last one is known, and a sample shows their shape."""

    @pytest.mark.parametrize("value", [0.1, 5e-324, 1.7976931348623157e308, -3.0, 2**53])
    def test_a_metric_reads_back_equal(self, store: TrackingStore, run: Run, value: float) -> None:
        _check_kept(store, run, point("loss/val", value, step=-7))

    @beyond(Limit.INFINITE_VALUES)
    @pytest.mark.parametrize("value", INFINITE)
    def test_infinity_is_a_value(self, store: TrackingStore, run: Run, value: float) -> None:
        _check_kept(store, run, point("loss/val", value, step=-7))

    @within(Limit.INFINITE_VALUES)
    @pytest.mark.parametrize("value", INFINITE)
    def test_infinity_is_refused_with_its_batch(self, store: TrackingStore, run: Run, value: float) -> None:
        batch = RunBatch(run_id=run.run_id, metrics=(point("n", 1.0), point("loss", value)), tags={"a": "b"})
        with pytest.raises(InvalidInput, match="loss"):
            store.log_batch(batch)
        assert store.get_run(run.run_id) == run

    def test_nan_is_a_value(self, store: TrackingStore, run: Run) -> None:
        store.log_batch(RunBatch(run_id=run.run_id, metrics=(point("loss", math.nan, 1), point("loss", 0.0, 1))))
        values = [metric.value for metric in store.metric_history(run.run_id, "loss")]
        assert sorted(map(str, values)) == ["0.0", "nan"]
        store.log_batch(RunBatch(run_id=run.run_id, metrics=(point("loss", math.nan, 2),)))
        assert math.isnan(store.get_run(run.run_id).metrics["loss"].value)

    def test_steps_and_times_have_64_bits(self, store: TrackingStore, run: Run) -> None:
        points = [Metric("m", 1.0, time, step) for step in (-(2**63), -1, 2**63 - 1) for time in (0, 2**63 - 1)]
        store.log_batch(RunBatch(run_id=run.run_id, metrics=tuple(reversed(points))))
        assert list(store.metric_history(run.run_id, "m")) == points

    @beyond(Limit.EARLY_TIMES)
    def test_a_time_may_lie_before_1970(self, store: TrackingStore, run: Run) -> None:
        points = [Metric("m", 1.0, time, 1) for time in (-(2**63), -1, 0)]
        store.log_batch(RunBatch(run_id=run.run_id, metrics=tuple(reversed(points))))
        assert list(store.metric_history(run.run_id, "m")) == points

    @within(Limit.EARLY_TIMES)
    def test_a_time_before_1970_is_refused_with_its_batch(self, store: TrackingStore, run: Run) -> None:
        with pytest.raises(InvalidInput):
            store.log_batch(RunBatch(run_id=run.run_id, metrics=(Metric("m", 1.0, -1, 1), point("n", 1.0))))
        assert store.get_run(run.run_id) == run

    def test_a_point_is_stored_once(self, store: TrackingStore, run: Run) -> None:
        points = (point("m", 1.0, 1), point("m", math.nan, 2))
        for _ in range(2):
            store.log_batch(RunBatch(run_id=run.run_id, metrics=points + points))
        assert len(store.metric_history(run.run_id, "m")) == 2

    def test_points_that_differ_in_time_or_value_are_kept(self, store: TrackingStore, run: Run) -> None:
        points = (point("m", 1.0, 1, 10), point("m", 1.0, 1, 11), point("m", 2.0, 1, 11), point("m", 1.0, 2, 10))
        store.log_batch(RunBatch(run_id=run.run_id, metrics=points))
        assert sorted(store.metric_history(run.run_id, "m"), key=str) == sorted(points, key=str)

    def test_the_last_point_has_the_highest_step_then_time(self, store: TrackingStore, run: Run) -> None:
        last = point("m", 3.0, 2, 20)
        points = (point("m", 1.0, 1, 99), last, point("m", 9.0, 2, 10), point("m", 5.0, -1, 100))
        for order in (points, points[::-1]):
            for each in order:
                store.log_batch(RunBatch(run_id=run.run_id, metrics=(each,)))
            assert store.get_run(run.run_id).metrics == {"m": last}
        assert list(store.metric_history(run.run_id, "m")) == [points[3], points[0], points[2], last]

    def test_the_last_point_of_a_batch_is_found_in_whatever_order_it_comes(
        self, store: TrackingStore, run: Run
    ) -> None:
        points = (point("m", 9.0, 2, 10), point("m", 3.0, 2, 20), point("m", 1.0, 1, 99))
        for key, order in (("forwards", points), ("backwards", points[::-1])):
            metrics = tuple(Metric(key, each.value, each.timestamp, each.step) for each in order)
            store.log_batch(RunBatch(run_id=run.run_id, metrics=metrics))
            assert store.get_run(run.run_id).metrics[key] == point(key, 3.0, 2, 20)

    def test_a_metric_that_was_not_logged_has_no_points(self, store: TrackingStore, run: Run) -> None:
        assert len(store.metric_history(run.run_id, "nothing")) == 0

    def test_a_sample_shows_the_ends_and_the_extremes(self, store: TrackingStore, run: Run) -> None:
        values = [float(step % 97) for step in range(1000)]
        values[700], values[333] = 500.0, -500.0
        points = tuple(point("m", value, step) for step, value in enumerate(values))
        store.log_batch(RunBatch(run_id=run.run_id, metrics=points))
        sample = list(store.metric_sample(run.run_id, "m", 50))
        assert len(sample) <= 60
        assert [sample[0], sample[-1]] == [points[0], points[-1]]
        assert {points[700], points[333]} <= set(sample) <= set(points)
        assert list(store.metric_sample(run.run_id, "m", 2000)) == list(points)
        assert len(store.metric_sample(run.run_id, "nothing", 50)) == 0


class BatchRules(Stored):
    """A batch is written whole or not at all, and reads back equal."""

    def test_a_param_is_written_once(self, store: TrackingStore, run: Run) -> None:
        for _ in range(2):
            store.log_batch(RunBatch(run_id=run.run_id, params={"depth": "3"}))
        with pytest.raises(InvalidInput, match=r"depth.*'3'.*'4'"):
            store.log_batch(RunBatch(run_id=run.run_id, params={"depth": "4"}))
        assert store.get_run(run.run_id).params == {"depth": "3"}

    def test_a_tag_is_overwritten(self, store: TrackingStore, run: Run) -> None:
        for value in ("first", "second"):
            store.log_batch(RunBatch(run_id=run.run_id, tags={"note": value, value: "set"}))
        assert own_tags(store.get_run(run.run_id)) == {"note": "second", "first": "set", "second": "set"}

    @pytest.mark.parametrize(
        "bad",
        [
            {"params": {"new": "1", "depth": "4"}},
            {"params": {"new": "x" * 6001}},
            {"params": {"/absolute": "1"}},
            {"tags": {"new": "1", "a/../b": "2"}},
            {"tags": {"new": "a\0b"}},
            {"tags": {"new": 3}},
            {"metrics": (point("m", 1.0), point("", 1.0))},
            {"metrics": (point("m", 1.0), Metric("n", True, 0))},
            {"metrics": (point("m", 1.0), Metric("n", "high", 0))},  # type: ignore[arg-type]
            {"metrics": (point("m", 1.0), Metric("n", 10**400, 0))},
            {"metrics": (point("m", 1.0), Metric("n", 1.0, 2**63))},
            {"metrics": (point("m", 1.0), Metric("n", 1.0, 0, 1.5))},  # type: ignore[arg-type]
        ],
    )
    def test_a_batch_is_written_whole_or_not_at_all(
        self, store: TrackingStore, experiment: Experiment, bad: dict[str, object]
    ) -> None:
        before = store.create_run(run_of(experiment.experiment_id, params={"depth": "3"}))
        good = {"metrics": (point("ok", 1.0),), "params": {"ok": "1"}, "tags": {"ok": "1"}}
        with pytest.raises(InvalidInput):
            store.log_batch(RunBatch(run_id=before.run_id, **(good | bad)))  # type: ignore[arg-type]
        assert store.get_run(before.run_id) == before

    def test_the_longest_values_are_kept_whole(self, store: TrackingStore, run: Run) -> None:
        batch = RunBatch(run_id=run.run_id, params={"k" * 250: "ä" * 6000}, tags={"t" * 250: "\N{SEEDLING}" * 8000})
        store.log_batch(batch)
        found = store.get_run(run.run_id)
        assert (found.params, own_tags(found)) == (batch.params, batch.tags)

    def test_what_many_threads_write_is_all_there(self, store: TrackingStore, run: Run) -> None:
        def write(thread: int) -> None:
            for step in range(10):
                metrics = (point("shared", float(thread), step), point(f"own/{thread}", 1.0, step))
                store.log_batch(RunBatch(run_id=run.run_id, metrics=metrics, params={f"{thread}.{step}": "x"}))

        assert refused(at_once(write, 8)) == []
        assert len(store.metric_history(run.run_id, "shared")) == 80
        found = store.get_run(run.run_id)
        assert (len(found.metrics), len(found.params)) == (9, 80)


def _check_kept(store: TrackingStore, run: Run, wanted: Metric) -> None:
    store.log_batch(RunBatch(run_id=run.run_id, metrics=(wanted,)))
    assert list(store.metric_history(run.run_id, wanted.key)) == [wanted]
    assert store.get_run(run.run_id).metrics == {wanted.key: wanted}
