from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pluggy
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model
from ratoon.testing import FlavorContract


class TestEstimator(FlavorContract):
    flavor_name = "sklearn"
    library = "sklearn"
    distribution = "scikit-learn"

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls, wine: Any) -> pd.DataFrame:
        return wine[0]

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any) -> RandomForestClassifier:
        return RandomForestClassifier(5, random_state=0).fit(*wine)


class TestPickledPipeline(TestEstimator):
    trust = "code"

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any) -> Any:
        halved = FunctionTransformer(lambda rows: rows / 2)
        return make_pipeline(halved, RandomForestClassifier(5, random_state=0)).fit(*wine)


class TestPipelineThatEndsInABooster(TestEstimator):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, wine: Any) -> Any:
        return make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=5)).fit(*wine)

    def test_the_booster_is_pinned_too(self, saved: Path) -> None:
        assert f"xgboost=={xgboost.__version__}" in (saved / "requirements.txt").read_text().splitlines()


def _boosters() -> dict[str, Any]:
    few = {"n_estimators": 5}
    quiet = {"verbose": 0, "allow_writing_files": False, "thread_count": 1}
    return {
        "xgboost": xgboost.XGBClassifier(**few),
        "xgboost forest": xgboost.XGBRFClassifier(**few),
        "lightgbm": lightgbm.LGBMClassifier(verbose=-1, n_jobs=1, **few),
        "catboost": catboost.CatBoostClassifier(**quiet, **few),
    }


def _pipelines(booster: Any) -> dict[str, Any]:
    by_name = make_column_transformer((StandardScaler(), ["ash", "hue"]), (OneHotEncoder(), ["magnesium"]))
    scaler = StandardScaler().set_output(transform="pandas")
    return {
        "columns": make_pipeline(by_name.set_output(transform="pandas"), booster),
        "vote": make_pipeline(scaler, VotingClassifier([("a", booster)], voting="soft")),
        "calibration": make_pipeline(scaler, CalibratedClassifierCV(booster, cv=2)),
    }


@pytest.mark.parametrize("around", ["columns", "vote", "calibration"])
@pytest.mark.parametrize("booster", ["xgboost", "xgboost forest", "lightgbm", "catboost"])
def test_boosters_inside_estimators_come_back_without_trust(
    booster: str, around: str, wine: Any, tmp_path: Path, manager: pluggy.PluginManager
) -> None:
    features = wine[0].assign(magnesium=wine[0]["magnesium"] // 40)
    by_name = {"sparse_threshold": 0}
    model = _pipelines(_boosters()[booster])[around]
    if around == "columns":
        model[0].set_params(onehotencoder__sparse_output=False, **by_name)
    model.fit(features, wine[1])
    save_model(model, tmp_path / "model", manager=manager, input_example=features)
    loaded = load_folder(tmp_path / "model", manager=manager)
    np.testing.assert_array_equal(loaded.predict(features), model.predict(features))
    np.testing.assert_allclose(loaded.native.predict_proba(features), model.predict_proba(features), rtol=1e-12)
