"""The project's pipelines; the one that answers is nobody's folder."""

from __future__ import annotations

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline


def register_pipelines() -> dict[str, Pipeline]:
    from wine.pipelines.service import create_inference

    found = dict(find_pipelines())
    found.setdefault("__default__", Pipeline([]))
    return {**found, "inference": create_inference()}
