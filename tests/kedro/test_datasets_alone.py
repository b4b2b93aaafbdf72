"""The datasets by themselves: their options, their forms, their copies, and what they do when the store is away."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import AbstractDataset, CachedDataset, DataCatalog, DatasetError, MemoryDataset, Version
from kedro.pipeline import Pipeline, node
from sklearn.linear_model import LinearRegression

from ratoon.entities import RunStatus
from ratoon.errors import InvalidInput
from ratoon.settings import load_settings
from ratoon.tracking.client import Client
from ratoon_kedro.context import RunContext
from ratoon_kedro.datasets import ArtifactDataset, MetricsDataset, ModelDataset
from ratoon_kedro.datasets.binding import bind_datasets
from ratoon_kedro.datasets.marking import logs_itself
from ratoon_kedro.datasets.series import points_of
from ratoon_kedro.options.config import Config

MODEL = LinearRegression().fit(pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 1.0]}), [1.0, 3.0])


class Doubler:
    def predict(self, numbers: list[float]) -> list[float]:
        return [2 * number for number in numbers]


def work(*values: object) -> object:
    return values


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".ratoon").mkdir()
    return Client(load_settings(tmp_path, {}, experiment="wine"))


def bound(
    client: Client, run_id: str, name: str, dataset: Any, *, saved: bool = True, config: Config | None = None
) -> Any:
    """The dataset as it is in a run whose pipeline saves it, or only loads it."""
    taken = ("other", name) if saved else (name, "other")
    pipeline = Pipeline([node(work, *taken, namespace=name.rpartition(".")[0] or None)])
    catalog = DataCatalog({name: dataset})
    bind_datasets(pipeline, catalog, RunContext(run_id=run_id, settings=client.settings, config=config or Config()))
    return catalog[name]


ALL = [
    lambda: ModelDataset(name="wine", alias="champion", credentials={"token": "s3cret"}),
    lambda: MetricsDataset(prefix="test", credentials={"token": "s3cret"}),
    lambda: ArtifactDataset(filepath="note.txt", credentials={"token": "s3cret"}),
]


@pytest.mark.parametrize("make", ALL)
def test_datasets_are_copied_pickled_and_shown_without_secrets(make: Any) -> None:
    dataset = make()
    for each in (dataset, copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))):  # noqa: S301
        assert repr(each) == repr(dataset)
        assert "s3cret" not in repr(each)
        assert isinstance(each, AbstractDataset)
        assert not getattr(each, "_SINGLE_PROCESS", False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"uri": "models:/wine/1", "alias": "champion"}, "is given beside name or alias"),
        ({"alias": "champion"}, "alias 'champion' belongs to no model"),
        ({"load_as": "pyfunc"}, "give native or predictor"),
        ({"uri": "wine"}, "model URI 'wine' cannot be read"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        ModelDataset(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("config", [{}, {"filepath": "a", "dataset": {"type": "json.JSONDataset"}}])
def test_an_artifact_needs_one_file(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="give it either dataset or filepath"):
        ArtifactDataset(**config)


def test_versions_are_asked_for_beside_the_other_dataset() -> None:
    with pytest.raises(InvalidInput, match="write it beside 'dataset', not in it"):
        ArtifactDataset(dataset={"type": "kedro.io.MemoryDataset", "versioned": True})


def test_a_dataset_without_a_file_is_no_artifact(client: Client) -> None:
    with client.start_run() as run:
        dataset = bound(client, run.run_id, "a", ArtifactDataset(dataset=MemoryDataset()))
        with pytest.raises(DatasetError, match="'MemoryDataset' has no file that a run could keep"):
            dataset.save(1)


def test_marks_are_found_through_a_cache() -> None:
    catalog = DataCatalog({"a": CachedDataset(ModelDataset()), "b": MetricsDataset(), "c": MemoryDataset()})
    assert [logs_itself(catalog, name) for name in ("a", "b", "c", "d")] == ["model", "metrics", None, None]


@pytest.mark.parametrize(
    ("value", "points"),
    [
        (0.5, {"m": [(0, 0.5)]}),
        ([0.5, 0.4], {"m": [(0, 0.5), (1, 0.4)]}),
        ({"value": 1, "step": 7}, {"m": [(7, 1.0)]}),
        ([{"value": 1, "step": 7}, {"value": 2}], {"m": [(7, 1.0), (1, 2.0)]}),
        ({"a": {"b": 1}, "c": [2, 3]}, {"m.a.b": [(0, 1.0)], "m.c": [(0, 2.0), (1, 3.0)]}),
        (pd.DataFrame({"loss": [3.0, 2.0]}), {"m.loss": [(0, 3.0), (1, 2.0)]}),
        (pd.Series([1, 2]), {"m": [(0, 1.0), (1, 2.0)]}),
    ],
)
def test_forms_of_metrics(value: Any, points: dict[str, Any]) -> None:
    assert points_of("m", value) == points


@pytest.mark.parametrize("value", ["0.5", True, {"a": "b"}, [None], object()])
def test_what_is_no_metric_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="give numbers, lists of numbers, or a dict of these"):
        points_of("m", value)


def test_a_single_metric_needs_a_name() -> None:
    with pytest.raises(InvalidInput, match="prefix is empty"):
        points_of("", 1.0)


def test_metrics_come_back_as_they_were_saved(client: Client) -> None:
    with client.start_run() as run:
        single = bound(client, run.run_id, "share", MetricsDataset())
        single.save(0.25)
        assert single.load() == 0.25
        many = bound(client, run.run_id, "fr.scores", MetricsDataset(history=True))
        many.save({"loss": [3, 2], "f1": 0.5})
        assert many.load() == {"loss": [3.0, 2.0], "f1": [0.5]}
        assert bound(client, run.run_id, "all", MetricsDataset(prefix="")).load() == {
            "share": 0.25,
            "fr.scores.loss": 2.0,
            "fr.scores.f1": 0.5,
        }
        missing = bound(client, run.run_id, "none", MetricsDataset())
        assert not missing.exists()
        with pytest.raises(DatasetError, match="metrics 'none' are not there"):
            missing.load()


def test_a_model_that_nobody_saved_is_named(client: Client) -> None:
    with client.start_run() as run:
        dataset = bound(client, run.run_id, "fr.model", ModelDataset(), saved=False)
        assert not dataset.exists()
        with pytest.raises(DatasetError, match="model 'fr.model' is not there"):
            dataset.load()
        with pytest.raises(DatasetError, match="names no registered model"):
            bound(client, run.run_id, "m", ModelDataset(version=Version("3", None))).load()


def test_what_this_run_saved_is_loaded_as_it_is_and_of_others_only_data(client: Client) -> None:
    with client.start_run() as run:
        dataset = bound(client, run.run_id, "doubler", ModelDataset(register_as="doubler"))
        dataset.save(Doubler())
        assert dataset.load().predict([2.0]) == [4.0]
        assert dataset.exists()
    with client.start_run() as later:
        other = bound(client, later.run_id, "doubler", ModelDataset(), saved=False)
        with pytest.raises(DatasetError, match='trust="code"'):
            other.load()
        trusting = bound(client, later.run_id, "doubler", ModelDataset(name="doubler", trust="code"), saved=False)
        assert trusting.load().predict([2.0]) == [4.0]
        assert trusting.resolve_load_version() == "1"


def test_a_dataset_goes_on_after_its_run_has_ended(client: Client) -> None:
    with client.start_run() as run:
        dataset = bound(client, run.run_id, "line", ModelDataset(filepath="models/line"))
        dataset.save(MODEL)
    assert run.info.status is RunStatus.FINISHED
    assert dataset.load().coef_ == pytest.approx(MODEL.coef_)
    assert Path("models", "line", "MLmodel").is_file()


def test_without_a_run_values_are_kept_until_the_process_ends_and_no_store_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, metrics, note = ModelDataset(), MetricsDataset(), ArtifactDataset(filepath="data/note.txt")
    model.save(MODEL)
    metrics.save({"f1": 0.5})
    note.save("hello")
    for other in (model, pickle.loads(pickle.dumps(model))):  # noqa: S301
        assert other.load().coef_ == pytest.approx(MODEL.coef_)
    assert metrics.load() == {"f1": 0.5}
    assert note.load().read_text() == "hello"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    folder = model._kept_in
    assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0
    del model
    assert not folder.exists()


def test_a_model_is_kept_when_the_store_is_away(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    away = load_settings(Path.cwd(), {}, experiment="wine", artifact_root="http://127.0.0.1:9")
    with client.start_run() as run:
        dataset = bound(Client(away), run.run_id, "line", ModelDataset())
        dataset.save(MODEL)
        assert [text for text in caplog.messages if "ratoon could not log model 'line'" in text]
        assert dataset.load().coef_ == pytest.approx(MODEL.coef_)


SAVED = [
    (lambda: ModelDataset(filepath="line"), MODEL),
    (lambda: MetricsDataset(), {"f1": 0.5}),
    (lambda: ArtifactDataset(filepath="note.txt"), "hello"),
]


@pytest.mark.parametrize(("make", "value"), SAVED)
@pytest.mark.parametrize("broken", ["artifact_root", "tracking_uri"])
def test_a_store_that_fails_stops_only_a_strict_project(
    client: Client, caplog: pytest.LogCaptureFixture, make: Any, value: Any, broken: str
) -> None:
    Path("taken").touch()  # a file, where a folder would have to be
    places = {"artifact_root": "taken/below", "tracking_uri": "sqlite:///taken/below.db"}
    settings = load_settings(Path.cwd(), {}, experiment="wine", **{broken: places[broken]})
    with client.start_run() as run:
        away = Client(settings)
        dataset = bound(away, run.run_id, "kept", make())
        dataset.save(value)
        strict = bound(away, run.run_id, "kept", make(), config=Config(strict=True))
        if broken == "artifact_root" and isinstance(dataset, MetricsDataset):
            strict.save(value)
            return
        assert len([text for text in caplog.messages if "ratoon could not" in text]) == 1
        with pytest.raises(DatasetError, match="taken"):
            strict.save(value)
    if isinstance(dataset, ModelDataset):
        assert Path("line", "MLmodel").is_file() and (dataset._kept_in / "MLmodel").is_file()
    elif isinstance(dataset, MetricsDataset):
        assert dataset._kept() == {"kept.f1": [[0, 0.5]]}
    else:
        assert dataset.load().read_text() == "hello"


def test_what_cannot_be_a_metric_is_refused_in_a_run_too(client: Client) -> None:
    with client.start_run() as run, pytest.raises(DatasetError, match="give numbers"):
        bound(client, run.run_id, "scores", MetricsDataset()).save("0.5")
