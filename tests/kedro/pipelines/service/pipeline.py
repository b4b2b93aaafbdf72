from __future__ import annotations

from kedro.pipeline import Pipeline, node

from .nodes import answer, check, clean, fit, scale, split


def create_pipeline(**_: object) -> Pipeline:
    return Pipeline(
        [
            node(split, "wines", ["features", "grower"], name="split"),
            node(fit, ["features", "grower"], ["scaler", "classifier", "limits"], name="fit"),
            node(check, ["classifier", "scaler", "features"], "mean", name="check"),
        ]
    )


def create_inference() -> Pipeline:
    return Pipeline(
        [
            node(clean, ["features", "limits", "params:widen"], "cleaned", name="clean"),
            node(scale, ["cleaned", "scaler"], ["scaled", "count"], name="scale"),
            node(
                answer,
                {"scaled": "scaled", "classifier": "classifier", "decision": "params:decision"},
                "answers",
                name="answer",
            ),
        ]
    )
