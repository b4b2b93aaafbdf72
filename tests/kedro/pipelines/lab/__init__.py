"""Branches that may run at the same time, with everything in them that is logged by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from kedro.pipeline import Pipeline, node, pipeline
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, recall_score


@dataclass
class Solver:
    c: float
    max_iter: int


def prepare(wines: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series, int]:
    return wines.drop(columns="target"), wines["target"], len(wines)


def train_loose(features: pd.DataFrame, grower: pd.Series, solver: Solver) -> LogisticRegression:
    return LogisticRegression(C=solver.c, max_iter=solver.max_iter).fit(features / 1000, grower)


def train_tight(features: pd.DataFrame, grower: pd.Series, options: dict, api_token: str) -> LogisticRegression:
    assert api_token == "t0p-s3cret"
    return LogisticRegression(C=options["c"], max_iter=500).fit(features / 1000, grower)


def score(model: LogisticRegression, features: pd.DataFrame, grower: pd.Series) -> dict:
    guessed = model.predict(features / 1000)
    return {
        "accuracy": accuracy_score(grower, guessed),
        "recall": {"macro": recall_score(grower, guessed, average="macro")},
    }


def fit_in_steps(features: pd.DataFrame, grower: pd.Series) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"epoch": [], "accuracy": []}
    for epoch in (1, 2, 4, 8):
        model = LogisticRegression(C=float(10**epoch), max_iter=2000).fit(features / 1000, grower)
        found["epoch"].append(epoch)
        found["accuracy"].append(float(accuracy_score(grower, model.predict(features / 1000))))
    return found


def draw(history: dict[str, list[float]]) -> Figure:
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot(history["epoch"], history["accuracy"])
    return figure


def summarise(features: pd.DataFrame, loose: dict, tight: dict) -> tuple[pd.DataFrame, dict]:
    best = "loose" if loose["accuracy"] > tight["accuracy"] else "tight"
    return features.describe().reset_index(), {"best": best, "loose": loose, "secret": {"password": "hunter3"}}


def widest(summary: pd.DataFrame) -> list[str]:
    return [str(name) for name in summary.columns[:3]]


def branch(name: str, train: Callable, *options: str) -> Pipeline:
    nodes = [
        node(train, ["features", "grower", *options], "model", name="train"),
        node(score, ["model", "features", "grower"], "scores", name="score"),
    ]
    return pipeline(nodes, namespace=name, inputs={"features", "grower"})


def create_pipeline(**_: object) -> Pipeline:
    return Pipeline(
        [
            node(prepare, "wines", ["features", "grower", "rows"], name="prepare"),
            branch("loose", train_loose, "params:solver"),
            branch("tight", train_tight, "params:options", "params:api_token"),
            node(fit_in_steps, ["features", "grower"], "steps", name="fit_in_steps"),
            node(draw, "steps", "curve", name="draw"),
            node(summarise, ["features", "loose.scores", "tight.scores"], ["summary", "verdict"], name="summarise"),
            node(widest, "summary", "columns", name="widest"),
        ]
    )
