from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pluggy
import pytest
import xgboost
import yaml

from ratoon.errors import Corrupt, InvalidInput
from ratoon.manager import make_manager
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model
from ratoon.testing import FlavorContract


class _XGBoost(FlavorContract):
    flavor_name = "xgboost"
    library = "xgboost"

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, wine: Any) -> pd.DataFrame:
        return wine[0]


class TestClassifier(_XGBoost):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any) -> xgboost.XGBClassifier:
        return xgboost.XGBClassifier(n_estimators=5).fit(*wine)

    def expected(self, model: Any, data: Any, manager: pluggy.PluginManager) -> Any:
        return model.predict(data)


class TestBooster(_XGBoost):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any) -> xgboost.Booster:
        return xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(*wine), 5)

    def expected(self, model: Any, data: Any, manager: pluggy.PluginManager) -> Any:
        return model.predict(xgboost.DMatrix(data))


class TestRankerOfAnArray(_XGBoost):
    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, wine: Any) -> np.ndarray:
        return wine[0].to_numpy()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any, data: Any) -> xgboost.XGBRanker:
        return xgboost.XGBRanker(n_estimators=5).fit(data, wine[1], qid=np.arange(len(data)) // 20)


@pytest.fixture(scope="module")
def animals() -> pd.DataFrame:
    kinds = pd.Categorical(["cat", "ant", "bee"] * 15, categories=["cat", "bee", "ant", "dog"])
    return pd.DataFrame({"kind": kinds, "legs": pd.Categorical([4, 6, 8] * 15), "age": np.arange(45.0)})


class TestCategories(_XGBoost):
    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, animals: pd.DataFrame) -> pd.DataFrame:
        return animals

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, animals: pd.DataFrame) -> xgboost.XGBRegressor:
        target = (animals["kind"] == "bee") * 2.0 + (animals["legs"] == 8) + animals["age"] / 100
        return xgboost.XGBRegressor(n_estimators=9, enable_categorical=True).fit(animals, target)

    def test_records_of_texts_and_numbers_will_do(
        self, model: Any, data: pd.DataFrame, saved: Path, manager: pluggy.PluginManager
    ) -> None:
        records = [{"kind": str(row.kind), "legs": int(row.legs), "age": row.age} for row in data.itertuples()]
        loaded = load_folder(saved, manager=manager)
        np.testing.assert_array_equal(loaded.predict(records), model.predict(data))
        # One row alone has other codes for its categories than the whole.
        np.testing.assert_array_equal(loaded.predict(records[1:2]), model.predict(data)[1:2])


class TestBoosterWithCategories(TestCategories):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, animals: pd.DataFrame) -> xgboost.Booster:
        target = (animals["kind"] == "bee") * 2.0 + animals["age"] / 100
        return xgboost.train({}, xgboost.DMatrix(animals, target, enable_categorical=True), 9)

    def test_records_of_texts_and_numbers_will_do(self, model: Any, saved: Path, manager: pluggy.PluginManager) -> None:
        records = [{"kind": "bee", "legs": 6, "age": 4.0}]
        frame = pd.DataFrame(records).astype({"kind": "category", "legs": "category"})
        expected = model.predict(xgboost.DMatrix(frame, enable_categorical=True))
        np.testing.assert_array_equal(load_folder(saved, manager=manager).predict(records), expected)


@pytest.fixture(scope="module")
def flavors() -> Iterator[pluggy.PluginManager]:
    builtins = ("python_function", "sklearn", "xgboost")
    return make_manager(builtins=[f"ratoon.models.flavors.{name}" for name in builtins], installed=False)


def test_what_stands_for_a_missing_value_is_kept(wine: Any, tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    features = wine[0].mask(wine[0] > wine[0].median(), -1.0)
    model = xgboost.XGBClassifier(n_estimators=9, missing=-1.0, max_depth=2).fit(features, wine[1])
    plain = xgboost.XGBClassifier()
    save_model(model, tmp_path / "model", manager=flavors)
    plain.load_model(tmp_path / "model" / "model.ubj")
    native = load_folder(tmp_path / "model", manager=flavors).native
    np.testing.assert_array_equal(native.predict_proba(features), model.predict_proba(features))
    assert (plain.predict_proba(features) != model.predict_proba(features)).any()
    assert (native.missing, native.max_depth) == (-1.0, 2)


def test_early_stopping_and_probabilities_are_kept(wine: Any, tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    model = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=2, learning_rate=1.0)
    model.fit(wine[0][::2], wine[1][::2], eval_set=[(wine[0][1::2], wine[1][1::2])], verbose=False)
    save_model(model, tmp_path / "model", manager=flavors)
    native = load_folder(tmp_path / "model", manager=flavors).native
    assert native.best_iteration == model.best_iteration
    np.testing.assert_array_equal(native.predict_proba(wine[0]), model.predict_proba(wine[0]))
    np.testing.assert_array_equal(native.classes_, model.classes_)


def test_labels_of_two_columns_come_back(wine: Any, tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    labels = np.stack([wine[1] == 0, wine[1] == 1], axis=1).astype(int)
    model = xgboost.XGBClassifier(n_estimators=3).fit(wine[0], labels)
    save_model(model, tmp_path / "model", manager=flavors, input_example=wine[0])
    np.testing.assert_array_equal(
        load_folder(tmp_path / "model", manager=flavors).predict(wine[0]), model.predict(wine[0])
    )


def test_parameters_reach_the_library(wine: Any, tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    model = xgboost.XGBClassifier(n_estimators=3).fit(*wine)
    save_model(model, tmp_path / "model", manager=flavors)
    margins = load_folder(tmp_path / "model", manager=flavors).predict(wine[0], {"output_margin": True})
    np.testing.assert_array_equal(margins, model.predict(wine[0], output_margin=True))


def test_a_model_that_is_not_fitted_is_refused(tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    with pytest.raises(InvalidInput, match="'XGBClassifier' is not fitted"):
        save_model(xgboost.XGBClassifier(), tmp_path / "model", manager=flavors)


class _Derived(xgboost.XGBRegressor):
    """May do anything."""


def test_a_derived_class_is_left_to_scikit_learns_flavor(flavors: pluggy.PluginManager) -> None:
    from ratoon.models.flavors import flavor_of

    assert flavor_of(_Derived(), flavors)[0] == "sklearn"


def _change(folder: Path, **changes: Any) -> None:
    (folder / "digests.json").unlink()
    plain = yaml.safe_load((folder / "MLmodel").read_text())
    del plain["ratoon"]
    plain["flavors"]["xgboost"] |= changes
    (folder / "MLmodel").write_text(yaml.safe_dump(plain))


def test_a_class_that_a_file_names_is_not_imported(wine: Any, tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    save_model(xgboost.XGBClassifier(n_estimators=2).fit(*wine), tmp_path / "model", manager=flavors)
    _change(tmp_path / "model", model_class="os.system")
    with pytest.raises(Corrupt, match="is of the class 'os.system' .known are xgboost.core.Booster"):
        load_folder(tmp_path / "model", manager=flavors, trust="code")


def test_the_wrong_class_is_refused(wine: Any, tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    save_model(xgboost.XGBClassifier(n_estimators=2).fit(*wine), tmp_path / "model", manager=flavors)
    _change(tmp_path / "model", model_class="xgboost.sklearn.XGBRegressor")
    with pytest.raises(Corrupt, match="cannot be loaded by XGBoost"):
        load_folder(tmp_path / "model", manager=flavors)
