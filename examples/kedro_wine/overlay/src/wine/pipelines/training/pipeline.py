"""How the functions hang together."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from .nodes import evaluate, train


def create_pipeline(**_: object) -> Pipeline:
    """Two nodes: train, evaluate."""
    return Pipeline(
        [
            node(
                train,
                inputs=["wines", "params:split", "params:model"],
                outputs=["classifier", "test_wines", "test_growers"],
                name="train",
            ),
            node(
                evaluate,
                inputs=["classifier", "test_wines", "test_growers"],
                outputs="evaluation",
                name="evaluate",
            ),
        ]
    )
