"""Pipelines as models: at the end of a run, an inference pipeline with its fitted datasets becomes one model.

What is needed is found out before the pipeline runs, because a runner forgets what is in memory after its last use.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ratoon_kedro.guarding import guard
from ratoon_kedro.pipeline_models.config import Plan
from ratoon_kedro.pipeline_models.values import forget_values, new_folder
from ratoon_kedro.recording.lineage import base_name
from ratoon_kedro.recording.stored_files import lives_in_memory

if TYPE_CHECKING:
    from ratoon_kedro.options.config import Config
    from ratoon_kedro.pipeline_models.inference import Inference
    from ratoon_kedro.state import Owned, Tracked

logger = logging.getLogger("ratoon_kedro")


def plan_pipeline_models(config: Config, names: Iterable[str], pipeline: Any, catalog: Any) -> Plan:
    """Find out which models this run ends with, and which values in memory they need.

    Args:
        config: The project's configuration.
        names: The registered pipelines that are run.
        pipeline: What is run of them.
        catalog: What it is run with.

    Raises:
        InvalidSetting: Under ``strict``, if a pipeline cannot become a model; else that is a warning.
    """
    due: list[Inference] = []
    for model in config.pipeline_models.values():
        from ratoon_kedro.pipeline_models.inference import find_inference

        if model.after and not set(model.after) & set(names):
            continue
        with _guard(f"prepare the pipeline model {model.name!r}", config):
            inference = find_inference(model)
            if model.after or _is_made_by(inference, pipeline, catalog):
                due.append(inference)
    if not due:
        return Plan()
    wanted = {name for each in due for name in (*each.fitted, each.model.example or each.model.input)}
    kept = frozenset(name for name in wanted & pipeline.all_outputs() if _in_memory(catalog, name))
    models = tuple(each.model.name for each in due)
    return Plan(models=models, kept=kept, folder=new_folder() if kept else "")


def log_pipeline_models(tracked: Tracked, owned: Owned) -> None:
    """Log the models that the run was planned to end with, and register those that say so. It was a success."""
    for name in tracked.context.plan.models:
        from ratoon_kedro.pipeline_models.packaging import log_pipeline_model

        with guard(f"log the pipeline model {name!r}", tracked.context):
            log_pipeline_model(tracked, owned, tracked.context.config.pipeline_models[name])


def forget_pipeline_models(tracked: Tracked) -> None:
    """Let go of what was kept for the models, however the run ended."""
    if tracked.context.plan.models:
        forget_values(tracked)


def _is_made_by(inference: Inference, pipeline: Any, catalog: Any) -> bool:
    """Whether a run makes something that the model needs, and everything else is there already."""
    made = {base_name(name) for name in pipeline.all_outputs()}
    missing = [name for name in inference.fitted if base_name(name) not in made]
    return len(missing) < len(inference.fitted) and all(name in catalog for name in missing)


def _in_memory(catalog: Any, name: str) -> bool:
    """Whether a dataset that the pipeline saves is gone when it has ended."""
    return name not in catalog or lives_in_memory(catalog.get(name))


def _guard(doing: str, config: Config) -> Any:
    from contextlib import nullcontext

    # There is no run yet that a warning could belong to.
    return nullcontext() if config.strict else guard(doing, None)


__all__ = ["forget_pipeline_models", "log_pipeline_models", "plan_pipeline_models"]
