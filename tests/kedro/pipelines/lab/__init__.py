"""Two branches that may run at the same time, with everything in them that is logged by itself."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from kedro.pipeline import Pipeline, node
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, recall_score


@dataclass
class Solver:
    c: float
    max_iter: int


def prepare(wines: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series, int]:
    return wines.drop(columns="target"), wines["target"], len(wines)


def train_loose(features: pd.DataFrame, grower: pd.Series, solver: Solver) -> tuple[LogisticRegression, dict]:
    model = LogisticRegression(C=solver.c, max_iter=solver.max_iter).fit(features / 1000, grower)
    return model, {"accuracy": accuracy_score(grower, model.predict(features / 1000))}


def train_tight(
    features: pd.DataFrame, grower: pd.Series, options: dict, api_token: str
) -> tuple[LogisticRegression, dict]:
    assert api_token == "t0p-s3cret"
    model = LogisticRegression(C=options["c"], max_iter=500).fit(features / 1000, grower)
    guessed = model.predict(features / 1000)
    return model, {
        "accuracy": accuracy_score(grower, guessed),
        "recall": recall_score(grower, guessed, average="macro"),
    }


def create_pipeline(**_: object) -> Pipeline:
    return Pipeline(
        [
            node(prepare, "wines", ["features", "grower", "rows"], name="prepare"),
            node(
                train_loose, ["features", "grower", "params:loose.solver"], ["loose_model", "loose"], name="train_loose"
            ),
            node(
                train_tight,
                ["features", "grower", "params:tight.options", "params:tight.api_token"],
                ["tight_model", "tight"],
                name="train_tight",
            ),
        ]
    )
