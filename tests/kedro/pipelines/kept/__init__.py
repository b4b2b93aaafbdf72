"""A pipeline whose catalog says itself what the run keeps."""

from __future__ import annotations

from typing import Any

import pandas as pd
from kedro.pipeline import Pipeline, node
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score


class Rule:
    """A model that no library knows."""

    def predict(self, wines: pd.DataFrame) -> list[int]:
        return [int(alcohol > 0.013) for alcohol in wines["alcohol"]]


def prepare(wines: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    return wines.drop(columns="target") / 1000, wines["target"]


def train(features: pd.DataFrame, grower: pd.Series, c: float) -> tuple[LogisticRegression, Rule, dict[str, Any]]:
    model = LogisticRegression(C=c, max_iter=200).fit(features, grower)
    return model, Rule(), {"loss": [0.9, 0.5, 0.4], "rows": len(features)}


def judge(features: pd.DataFrame, grower: pd.Series, model: LogisticRegression, rule: Rule) -> tuple[Any, ...]:
    scores = {
        "accuracy": accuracy_score(grower, model.predict(features)),
        "strong": float(sum(rule.predict(features))),
    }
    return scores, {"verdict": "good", "scores": scores}, f"accuracy: {scores['accuracy']}"


def look_back(training: dict[str, Any], scores: dict[str, Any]) -> dict[str, Any]:
    return {"rows": training["rows"], "accuracy": scores["accuracy"]}


def create_pipeline(**_: object) -> Pipeline:
    return Pipeline(
        [
            node(prepare, "wines", ["features", "grower"], name="prepare"),
            node(train, ["features", "grower", "params:c"], ["kept_model", "fr.model", "training"], name="fit"),
            node(judge, ["features", "grower", "kept_model", "fr.model"], ["scores", "report", "note"], name="judge"),
            node(look_back, ["training", "scores"], "loaded", name="look_back"),
        ]
    )
