from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pluggy
import pytest
import yaml

from ratoon.errors import Corrupt, InvalidInput, Untrusted
from ratoon.manager import make_manager
from ratoon.models.flavors import flavor_of
from ratoon.models.flavors.lightgbm_estimators import restore_categories
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model
from ratoon.models.trust import save_pickle
from ratoon.testing import FlavorContract

SMALL = {"n_estimators": 5, "verbose": -1, "n_jobs": 1}


class _LightGBM(FlavorContract):
    flavor_name = "lightgbm"
    library = "lightgbm"
    # Its text has seventeen digits, but not the sums that it adds up.
    tolerance = 1e-12

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, wine: Any) -> pd.DataFrame:
        return wine[0]

    def expected(self, model: Any, data: Any, manager: pluggy.PluginManager) -> Any:
        return model.predict(data)


class TestClassifier(_LightGBM):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any) -> lightgbm.LGBMClassifier:
        return lightgbm.LGBMClassifier(**SMALL).fit(wine[0], wine[1].map({0: "barolo", 1: "grignolino", 2: "barbera"}))

    def test_the_labels_are_those_it_was_fitted_with(self, saved: Path, manager: pluggy.PluginManager) -> None:
        native = load_folder(saved, manager=manager).native
        assert native.classes_.tolist() == ["barbera", "barolo", "grignolino"]


class TestBooster(_LightGBM):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any) -> lightgbm.Booster:
        params = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
        return lightgbm.train(params, lightgbm.Dataset(*wine), 5)


class TestRegressorOfAnArray(_LightGBM):
    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, wine: Any) -> np.ndarray:
        return wine[0].to_numpy()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any, data: Any) -> lightgbm.LGBMRegressor:
        return lightgbm.LGBMRegressor(**SMALL).fit(data, wine[1])


@pytest.fixture(scope="module")
def animals() -> pd.DataFrame:
    kinds = pd.Categorical(["cat", "ant", "bee"] * 30, categories=["cat", "bee", "ant", "dog"])
    return pd.DataFrame({"age": np.arange(90.0) % 7, "kind": kinds, "legs": pd.Categorical([8, 6, 4] * 30)})


class TestCategories(_LightGBM):
    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, animals: pd.DataFrame) -> pd.DataFrame:
        return animals

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, animals: pd.DataFrame) -> lightgbm.LGBMRegressor:
        target = (animals["kind"] == "bee") * 2.0 + animals["age"] / 100
        return lightgbm.LGBMRegressor(min_child_samples=5, **SMALL).fit(animals, target)

    def test_records_of_texts_and_numbers_will_do(
        self, model: Any, data: pd.DataFrame, saved: Path, manager: pluggy.PluginManager
    ) -> None:
        records = [{"kind": str(row.kind), "legs": int(row.legs), "age": row.age} for row in data.itertuples()]
        loaded = load_folder(saved, manager=manager)
        np.testing.assert_allclose(loaded.predict(records), model.predict(data), rtol=1e-12)
        np.testing.assert_allclose(loaded.predict(records[1:2]), model.predict(data)[1:2], rtol=1e-12)


@pytest.fixture(scope="module")
def flavors() -> pluggy.PluginManager:
    builtins = ("python_function", "sklearn", "lightgbm")
    return make_manager(builtins=[f"ratoon.models.flavors.{name}" for name in builtins], installed=False)


@pytest.fixture(scope="module")
def classifier(wine: Any) -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(**SMALL).fit(*wine)


def test_an_estimator_is_text_for_us_and_skops_for_mlflow(
    classifier: Any, tmp_path: Path, flavors: pluggy.PluginManager
) -> None:
    config = save_model(classifier, tmp_path / "model", manager=flavors).flavors["lightgbm"]
    assert (config["data"], config["ratoon_data"]) == ("model.skops", "model.lgb")
    assert (config["model_class"], config["serialization_format"]) == ("lightgbm.sklearn.LGBMClassifier", "skops")
    assert (tmp_path / "model" / "model.lgb").read_bytes().startswith(b"tree\n")


# The arguments that take its place are not known to older versions.
@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated:FutureWarning")
def test_what_an_estimator_tells_comes_back(wine: Any, tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=40, learning_rate=0.5, verbose=-1, n_jobs=1)
    stopping = lightgbm.early_stopping(2, verbose=False)
    model.fit(wine[0][::2], wine[1][::2], eval_set=[(wine[0][1::2], wine[1][1::2])], callbacks=[stopping])
    save_model(model, tmp_path / "model", manager=flavors)
    native = load_folder(tmp_path / "model", manager=flavors).native
    for name in ("best_iteration_", "n_features_in_", "n_features_", "objective_", "n_classes_"):
        assert getattr(native, name) == getattr(model, name), name
    assert native.get_params()["learning_rate"] == 0.5
    np.testing.assert_array_equal(native.feature_names_in_, model.feature_names_in_)
    np.testing.assert_array_equal(native.classes_, model.classes_)
    assert native.classes_.dtype == model.classes_.dtype
    np.testing.assert_allclose(native.predict_proba(wine[0]), model.predict_proba(wine[0]), rtol=1e-12)


def _squared(truth: Any, scores: Any) -> Any:
    return scores - truth, np.ones_like(scores)


def test_scores_of_an_objective_of_the_users_are_left_alone(
    wine: Any, tmp_path: Path, flavors: pluggy.PluginManager
) -> None:
    model = lightgbm.LGBMClassifier(objective=_squared, **SMALL).fit(wine[0], wine[1] == 1)
    save_model(model, tmp_path / "model", manager=flavors)
    native = load_folder(tmp_path / "model", manager=flavors).native
    with pytest.warns(UserWarning, match="Cannot compute class probabilities"):
        np.testing.assert_allclose(native.predict(wine[0]), model.predict(wine[0]), rtol=1e-12)
    with pytest.raises(InvalidInput, match="objective of the model is a function, which is not saved"):
        native.set_params(objective=native.objective_).fit(*wine)


def test_a_ranker_comes_back(wine: Any, tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    model = lightgbm.LGBMRanker(**SMALL).fit(*wine, group=[90, 88])
    save_model(model, tmp_path / "model", manager=flavors, input_example=wine[0])
    loaded = load_folder(tmp_path / "model", manager=flavors)
    assert type(loaded.native) is lightgbm.LGBMRanker
    np.testing.assert_allclose(loaded.predict(wine[0]), model.predict(wine[0]), rtol=1e-12)


def test_parameters_reach_the_library(
    classifier: Any, wine: Any, tmp_path: Path, flavors: pluggy.PluginManager
) -> None:
    save_model(classifier, tmp_path / "model", manager=flavors)
    scores = load_folder(tmp_path / "model", manager=flavors).predict(wine[0], {"raw_score": True})
    np.testing.assert_allclose(scores, classifier.predict(wine[0], raw_score=True), rtol=1e-12)


def test_columns_that_may_have_been_categories_are_asked_for(animals: pd.DataFrame) -> None:
    ordered = animals.assign(kind=pd.Categorical(animals["kind"].cat.codes, ordered=True))
    booster = lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(ordered, animals["age"]), 2)
    assert restore_categories(booster, ordered) is ordered
    with pytest.raises(InvalidInput, match="trained with 2 columns of the type category, given are 0"):
        restore_categories(booster, ordered.astype({"kind": int, "legs": int}))
    texts = ordered.astype({"kind": str, "legs": str})
    assert [str(dtype) for dtype in restore_categories(booster, texts).dtypes] == ["float64", "category", "category"]


def test_a_model_that_is_not_fitted_is_refused(tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    with pytest.raises(InvalidInput, match="'LGBMRegressor' is not fitted"):
        save_model(lightgbm.LGBMRegressor(), tmp_path / "model", manager=flavors)


class _Derived(lightgbm.LGBMRegressor):
    """May do anything."""


def test_a_derived_class_is_left_to_scikit_learns_flavor(flavors: pluggy.PluginManager) -> None:
    assert flavor_of(_Derived(), flavors)[0] == "sklearn"


def _as_mlflow_saves(folder: Path, **changes: Any) -> None:
    (folder / "digests.json").unlink()
    plain = yaml.safe_load((folder / "MLmodel").read_text())
    del plain["ratoon"]
    config = plain["flavors"]["lightgbm"] | changes
    plain["flavors"]["lightgbm"] = {name: value for name, value in config.items() if value is not ...}
    (folder / "MLmodel").write_text(yaml.safe_dump(plain))


def test_an_estimator_of_mlflow_in_skops_needs_no_trust(
    classifier: Any, wine: Any, tmp_path: Path, flavors: pluggy.PluginManager
) -> None:
    save_model(classifier, tmp_path / "model", manager=flavors)
    _as_mlflow_saves(tmp_path / "model", ratoon_data=..., ratoon_estimator=...)
    (tmp_path / "model" / "model.lgb").unlink()
    loaded = load_folder(tmp_path / "model", manager=flavors)
    np.testing.assert_array_equal(loaded.predict(wine[0]), classifier.predict(wine[0]))


def test_an_estimator_that_mlflow_pickled_needs_trust(
    classifier: Any, wine: Any, tmp_path: Path, flavors: pluggy.PluginManager
) -> None:
    folder = tmp_path / "model"
    save_model(classifier, folder, manager=flavors)
    save_pickle(classifier, folder / "model.pkl")
    _as_mlflow_saves(folder, ratoon_data=..., data="model.pkl", serialization_format="cloudpickle")
    with pytest.raises(Untrusted, match=r"model\.pkl"):
        load_folder(folder, manager=flavors)
    loaded = load_folder(folder, manager=flavors, trust="code")
    np.testing.assert_array_equal(loaded.predict(wine[0]), classifier.predict(wine[0]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_class": "os.system"}, "is of the class 'os.system' .known are lightgbm.basic.Booster"),
        ({"ratoon_data": ..., "serialization_format": "joblib"}, "unknown serialization format 'joblib'"),
        ({"ratoon_estimator": {"params": {}}}, "does not describe a LGBMClassifier .KeyError"),
        ({"ratoon_estimator": None}, "does not describe a LGBMClassifier .TypeError"),
        ({"ratoon_data": "model.skops"}, "cannot be loaded by LightGBM"),
    ],
)
def test_what_a_file_says_is_not_believed(
    classifier: Any, tmp_path: Path, flavors: pluggy.PluginManager, changes: dict[str, Any], message: str
) -> None:
    save_model(classifier, tmp_path / "model", manager=flavors)
    _as_mlflow_saves(tmp_path / "model", **changes)
    with pytest.raises(Corrupt, match=message):
        load_folder(tmp_path / "model", manager=flavors, trust="code")
