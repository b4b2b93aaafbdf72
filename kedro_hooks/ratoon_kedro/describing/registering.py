"""What becomes of a run's models after it went well: versions of registered models, and who is promoted."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratoon_kedro.guarding import guard
from ratoon_kedro.recording.outputs import model_name

if TYPE_CHECKING:
    from ratoon.entities import Model, ModelVersion
    from ratoon_kedro.options.config import Registration
    from ratoon_kedro.state import Tracked

logger = logging.getLogger("ratoon_kedro")


def register_models(tracked: Tracked, pipeline: Any, since: int, root: Path) -> None:
    """Register the models that the project asks for, and promote them if it says so.

    Args:
        tracked: The run, which went well.
        pipeline: What was run: a dataset that is not among its outputs is left alone.
        since: When this execution began, in milliseconds: older models belong to an earlier try of the same run.
        root: The project's folder.
    """
    wanted = {name: given for name, given in tracked.context.config.register.items() if name in pipeline.all_outputs()}
    if not wanted:
        return
    run_id = tracked.context.run_id
    found = tracked.client.tracking.run_models(run_id)
    models = {model.name: model for model in found if model.creation_timestamp >= since}
    for dataset, registration in wanted.items():
        with guard(f"register the model of dataset {dataset!r}", tracked.context):
            _register(tracked, dataset, registration, models, root)


def _register(tracked: Tracked, dataset: str, wanted: Registration, models: Mapping[str, Model], root: Path) -> None:
    model = models.get(model_name(dataset))
    if model is None:
        raise LookupError(f"it holds no model; the run's models are {', '.join(models) or 'none'}")
    register_model_as(tracked, model, wanted, root)


def register_model_as(tracked: Tracked, model: Model, wanted: Registration, root: Path) -> None:
    """Make a model of the run a version of a registered one, and promote it if that is asked for."""
    from ratoon.tracking.models import register_model

    version = register_model(f"models:/{model.model_id}", wanted.name, client=tracked.client)
    logger.info("registered the model %r as %s version %s", model.name, wanted.name, version.version)
    if wanted.alias or wanted.policy:
        with guard(f"give {wanted.name} version {version.version} its alias", tracked.context):
            _give_alias(tracked, wanted, version, root)


def _give_alias(tracked: Tracked, wanted: Registration, version: ModelVersion, root: Path) -> None:
    from ratoon.errors import PromotionRefused
    from ratoon.registry.policy import load_policy
    from ratoon.registry.promotion import CHAMPION, promote, set_alias

    alias, reason = wanted.alias or CHAMPION, f"kedro run {tracked.context.run_id}"
    if wanted.policy is None:
        set_alias(tracked.client, wanted.name, alias, version.version, reason=reason)
        return
    policy = load_policy(root / wanted.policy)
    try:
        promote(tracked.client, wanted.name, version.version, alias=alias, policy=policy, reason=reason)
    except PromotionRefused as refused:
        against = ", ".join(f"{each.gate} ({each.reason})" for each in refused.verdicts if not each.passed)
        why = f"refused by {against}" if against else str(refused)
        logger.warning("%s version %s does not become %r: %s", wanted.name, version.version, alias, why)
        return
    logger.info("%s version %s is %r now", wanted.name, version.version, alias)
