"""The pipelines: plain Kedro."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from diabetes import nodes


def training() -> Pipeline:
    """Two models, each in a namespace of its own, and the choice between them."""
    prepared = Pipeline(
        [
            node(nodes.split, ["patients", "params:split"], ["train", "test"], name="split"),
            node(nodes.fit_scaler, "train", "scaler", name="fit_scaler"),
        ]
    )
    judged = Pipeline([node(nodes.evaluate, ["model", "scaler", "test"], "scores", name="evaluate")])
    ridge = judged + Pipeline([node(nodes.fit_ridge, ["train", "scaler", "params:options"], "model", name="fit")])
    boosting = judged + Pipeline(
        [node(nodes.fit_boosting, ["train", "scaler", "params:options"], ["model", "learning"], name="fit")]
    )
    shared = {"train", "test", "scaler"}
    chosen = Pipeline(
        [
            node(
                nodes.choose,
                ["ridge.model", "ridge.scores", "boosting.model", "boosting.scores"],
                ["regressor", "evaluation"],
                name="choose",
            ),
            node(nodes.draw, ["regressor", "scaler", "test"], "predicted", name="draw"),
        ]
    )
    return (
        prepared
        + Pipeline(ridge, namespace="ridge", inputs=shared)
        + Pipeline(boosting, namespace="boosting", inputs=shared)
        + chosen
    )


def inference() -> Pipeline:
    """From patients to the progression that is to be expected."""
    return Pipeline([node(nodes.predict, ["new_patients", "scaler", "regressor"], "progression", name="predict")])


def register_pipelines() -> dict[str, Pipeline]:
    """Every pipeline by name."""
    return {"__default__": training(), "training": training(), "inference": inference()}
