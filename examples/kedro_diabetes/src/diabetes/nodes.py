"""The functions of the pipelines. None of them knows that it is tracked."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

TARGET = "progression"


def split(patients: pd.DataFrame, options: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patients to learn from, and patients to judge by."""
    train, test = train_test_split(patients, test_size=options["test_share"], random_state=options["seed"])
    return train, test


def fit_scaler(train: pd.DataFrame) -> StandardScaler:
    """What brings every column to the same scale."""
    return StandardScaler().set_output(transform="pandas").fit(train.drop(columns=TARGET))


def fit_ridge(train: pd.DataFrame, scaler: StandardScaler, options: dict[str, Any]) -> Ridge:
    """A linear model."""
    return Ridge(**options).fit(scaler.transform(train.drop(columns=TARGET)), train[TARGET])


def fit_boosting(
    train: pd.DataFrame, scaler: StandardScaler, options: dict[str, Any]
) -> tuple[GradientBoostingRegressor, dict[str, list[float]]]:
    """Boosted trees, and how their loss fell from tree to tree."""
    model = GradientBoostingRegressor(**options).fit(scaler.transform(train.drop(columns=TARGET)), train[TARGET])
    return model, {"loss": model.train_score_.tolist()}


def evaluate(model: Any, scaler: StandardScaler, test: pd.DataFrame) -> dict[str, float]:
    """How far its predictions are from what happened."""
    predicted = model.predict(scaler.transform(test.drop(columns=TARGET)))
    return {
        "mae": mean_absolute_error(test[TARGET], predicted),
        "rmse": root_mean_squared_error(test[TARGET], predicted),
        "r2": r2_score(test[TARGET], predicted),
    }


def choose(
    ridge: Ridge, ridge_scores: dict[str, float], boosting: GradientBoostingRegressor, boosting_scores: dict[str, float]
) -> tuple[Any, dict[str, float]]:
    """The model with the smaller error, and its scores."""
    return min([(ridge, ridge_scores), (boosting, boosting_scores)], key=lambda pair: pair[1]["mae"])


def draw(model: Any, scaler: StandardScaler, test: pd.DataFrame) -> Figure:
    """Predicted against observed progression."""
    figure = Figure(figsize=(5, 5))
    axes = figure.subplots()
    axes.scatter(test[TARGET], model.predict(scaler.transform(test.drop(columns=TARGET))), s=12)
    axes.axline((150, 150), slope=1, color="grey", linewidth=1)
    axes.set(xlabel="observed", ylabel="predicted")
    return figure


def predict(patients: pd.DataFrame, scaler: StandardScaler, regressor: Any) -> pd.DataFrame:
    """The expected progression of each patient."""
    return pd.DataFrame({TARGET: regressor.predict(scaler.transform(patients))}, index=patients.index)
