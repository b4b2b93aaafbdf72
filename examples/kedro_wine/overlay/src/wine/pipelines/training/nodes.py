"""What the pipeline does, as plain functions."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import train_test_split


def train(
    wines: pd.DataFrame, split: dict[str, Any], model: dict[str, Any]
) -> tuple[RandomForestClassifier, pd.DataFrame, pd.Series]:
    """Set wines aside, fit a forest on the others; the second and third value are what it must be judged by."""
    features, grower = wines.drop(columns="target"), wines["target"]
    train_x, test_x, train_y, test_y = train_test_split(
        features, grower, test_size=split["test_size"], random_state=split["seed"], stratify=grower
    )
    forest = RandomForestClassifier(
        n_estimators=model["n_estimators"], max_depth=model["max_depth"], random_state=model["seed"]
    )
    return forest.fit(train_x, train_y), test_x, test_y


def evaluate(classifier: RandomForestClassifier, test_wines: pd.DataFrame, test_growers: pd.Series) -> dict[str, float]:
    """Judge the forest by the wines that it has not seen."""
    guessed = classifier.predict(test_wines)
    return {
        "accuracy": accuracy_score(test_growers, guessed),
        "f1_macro": f1_score(test_growers, guessed, average="macro"),
        "log_loss": log_loss(test_growers, classifier.predict_proba(test_wines)),
    }
