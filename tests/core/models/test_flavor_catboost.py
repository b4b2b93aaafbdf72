from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd
import pluggy
import pytest
import yaml

from ratoon.errors import Corrupt, InvalidInput
from ratoon.manager import make_manager
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model
from ratoon.testing import FlavorContract

SMALL = {"iterations": 5, "verbose": 0, "allow_writing_files": False, "thread_count": 1}


class _CatBoost(FlavorContract):
    flavor_name = "catboost"
    library = "catboost"

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, wine: Any) -> pd.DataFrame:
        return wine[0]

    def expected(self, model: Any, data: Any, manager: pluggy.PluginManager) -> Any:
        return model.predict(data)


class TestClassifierOfTexts(_CatBoost):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any) -> catboost.CatBoostClassifier:
        return catboost.CatBoostClassifier(**SMALL).fit(wine[0], np.array(["a", "b", "c"])[wine[1]])

    def test_the_labels_are_those_it_was_fitted_with(self, saved: Path, manager: pluggy.PluginManager) -> None:
        assert load_folder(saved, manager=manager).native.classes_.tolist() == ["a", "b", "c"]


class TestRegressorOfAnArray(_CatBoost):
    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, wine: Any) -> np.ndarray:
        return wine[0].to_numpy()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any, data: Any) -> catboost.CatBoostRegressor:
        return catboost.CatBoostRegressor(**SMALL).fit(data, wine[1])


class TestCategories(_CatBoost):
    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> pd.DataFrame:
        kinds = pd.Categorical(["cat", "ant", "bee"] * 30)
        return pd.DataFrame({"age": np.arange(90.0) % 7, "kind": kinds, "legs": [4, 6, 8] * 30})

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, data: pd.DataFrame) -> catboost.CatBoostRegressor:
        target = (data["kind"] == "bee") * 2.0 + data["age"] / 100
        return catboost.CatBoostRegressor(cat_features=["kind", "legs"], **SMALL).fit(data, target)

    def test_records_will_do(self, model: Any, data: Any, saved: Path, manager: pluggy.PluginManager) -> None:
        records = [{"kind": str(row.kind), "legs": int(row.legs), "age": row.age} for row in data.itertuples()]
        np.testing.assert_array_equal(load_folder(saved, manager=manager).predict(records), model.predict(data))


@pytest.fixture(scope="module")
def flavors() -> pluggy.PluginManager:
    return make_manager(builtins=["ratoon.models.flavors.catboost"], installed=False)


@pytest.mark.parametrize("name", ["CatBoost", "CatBoostRanker"])
def test_its_other_classes_come_back(name: str, wine: Any, tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    pool = catboost.Pool(*wine, group_id=np.arange(len(wine[0])) // 60)
    model = getattr(catboost, name)({**SMALL, "loss_function": "YetiRank"} if name == "CatBoost" else None)
    if name == "CatBoostRanker":
        model = catboost.CatBoostRanker(**SMALL)
    model.fit(pool)
    save_model(model, tmp_path / "model", manager=flavors, input_example=wine[0])
    loaded = load_folder(tmp_path / "model", manager=flavors)
    assert type(loaded.native) is type(model)
    np.testing.assert_array_equal(loaded.predict(wine[0]), model.predict(wine[0]))


def test_parameters_reach_the_library(wine: Any, tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    model = catboost.CatBoostClassifier(**SMALL).fit(*wine)
    save_model(model, tmp_path / "model", manager=flavors)
    given = load_folder(tmp_path / "model", manager=flavors).predict(wine[0], {"prediction_type": "Probability"})
    np.testing.assert_array_equal(given, model.predict_proba(wine[0]))


def test_a_model_that_is_not_fitted_is_refused(tmp_path: Path, flavors: pluggy.PluginManager) -> None:
    with pytest.raises(InvalidInput, match="'CatBoostRegressor' is not fitted"):
        save_model(catboost.CatBoostRegressor(), tmp_path / "model", manager=flavors)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "Pool"}, "of the class or format 'Pool' .known are CatBoost, "),
        ({"save_format": "onnx"}, "of the class or format 'onnx' .known are cbm, json"),
        ({"save_format": "json"}, "cannot be loaded by CatBoost"),
    ],
)
def test_what_a_file_says_is_not_believed(
    wine: Any, tmp_path: Path, flavors: pluggy.PluginManager, changes: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "model"
    save_model(catboost.CatBoostClassifier(**SMALL).fit(*wine), folder, manager=flavors)
    (folder / "digests.json").unlink()
    plain = yaml.safe_load((folder / "MLmodel").read_text())
    del plain["ratoon"]
    plain["flavors"]["catboost"] |= changes
    (folder / "MLmodel").write_text(yaml.safe_dump(plain))
    with pytest.raises(Corrupt, match=message):
        load_folder(folder, manager=flavors)
