"""The beginning and the end of a tracked run, in the process that runs the pipeline."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from ratoon.clock import now_ms
from ratoon.entities import Run, RunStatus
from ratoon.settings import KEYS, Settings, load_settings
from ratoon_kedro import interrupts
from ratoon_kedro.command import kedro_run_id, pipeline_name, replayable_command, runner_name
from ratoon_kedro.config import Config, load_config
from ratoon_kedro.context import Project, RunContext, put_context
from ratoon_kedro.graph import FAILED_NODE, describe_pipeline
from ratoon_kedro.nodes import guard, node_at_fault
from ratoon_kedro.outputs import model_name
from ratoon_kedro.params import Redactor, without_userinfo
from ratoon_kedro.state import Owned, Tracked, keep, let_go, owned_runs

ERROR = "kedro.error"

logger = logging.getLogger("ratoon_kedro")


def start(project: Project, run_params: Mapping[str, Any], pipeline: Any, catalog: Any) -> None:
    """Begin a tracked run and send its context along with the catalog; nothing if the project does not want it."""
    config = load_config(project.config_loader)
    if not config.enabled:
        return
    from ratoon.tracking.client import Client

    settings = _settings(project, config)
    since = now_ms()
    client = Client(settings)
    try:
        _ = client.artifacts  # opened here rather than by several nodes at once
        run = client.start_run(
            experiment=project.package if settings.experiment == "Default" else settings.experiment,
            run_name=config.run_name or pipeline_name(run_params),
            run_id=os.environ.get("RATOON_RUN_ID") or None,
            tags=_tags(project, config, run_params),
        )
        run.set_tags({tag: "" for tag in (ERROR, FAILED_NODE) if run.info.tags.get(tag)})  # of an earlier try
        run.flush()
    except BaseException:
        client.close()
        raise
    context = RunContext(
        run_id=run.run_id,
        settings=settings,
        strict=config.strict,
        redact=config.redact,
        register=config.register,
    )
    keep(Tracked(context, client, run, Owned(pipeline, since), params=dict(run.info.params)))
    interrupts.install(end_open_runs)
    put_context(catalog, context)


def fail(tracked: Tracked, error: BaseException) -> None:
    """End a run whose pipeline broke."""
    tracked.run.set_tag(ERROR, _message(error))
    if tracked.owned is not None and (node := node_at_fault(tracked)):
        tracked.run.set_tag(FAILED_NODE, node)
    finish(tracked.context.run_id, RunStatus.FAILED)


def finish(run_id: str, status: RunStatus) -> None:
    """End a run, once: write its graph, register what the project asks for, say where it can be seen."""
    tracked = let_go(run_id)
    if tracked is None or tracked.owned is None:
        return
    try:
        with guard("complete the run's record", tracked.context):
            tracked.run.flush()
            _complete(tracked, tracked.owned, tracked.client.tracking.get_run(run_id), status)
    finally:
        try:
            tracked.run.end(status)
        finally:
            tracked.client.close()
    _announce(run_id, status)


def end_open_runs() -> None:
    """End what is still open as killed: the process leaves, and no hook told us about the end of the pipeline."""
    for run_id in owned_runs():
        with guard(f"end the run {run_id!r}", None):
            finish(run_id, RunStatus.KILLED)


def _complete(tracked: Tracked, owned: Owned, stored: Run, status: RunStatus) -> None:
    with guard("write the pipeline's graph", tracked.context):
        graph = describe_pipeline(owned.pipeline, stored, owned.since, complete=status is RunStatus.FINISHED)
        tracked.run.log_dict(graph, "kedro/pipeline.json")
    if status is RunStatus.FINISHED:
        _register(tracked, owned)


def _register(tracked: Tracked, owned: Owned) -> None:
    from ratoon.registry.promotion import set_alias
    from ratoon.tracking.models import register_model

    run_id = tracked.context.run_id
    models = {
        model.name: model
        for model in tracked.client.tracking.run_models(run_id)
        if model.creation_timestamp >= owned.since
    }
    for dataset, wanted in tracked.context.register.items():
        if dataset not in owned.pipeline.all_outputs():
            continue
        with guard(f"register the model of dataset {dataset!r}", tracked.context):
            model = models.get(model_name(dataset))
            if model is None:
                raise LookupError(f"it holds no model; the run's models are {', '.join(models) or 'none'}")
            version = register_model(f"models:/{model.model_id}", wanted.name, client=tracked.client)
            logger.info("registered the model of %r as %s version %s", dataset, wanted.name, version.version)
            if wanted.alias:
                set_alias(tracked.client, wanted.name, wanted.alias, version.version, reason=f"kedro run {run_id}")


def _settings(project: Project, config: Config) -> Settings:
    """The environment goes before ``ratoon.yml``, so that an orchestrator has the last word."""
    places = ("tracking_uri", "registry_uri", "artifact_root", "experiment")
    given = {key: getattr(config, key) for key in places if key in KEYS and not os.environ.get(f"RATOON_{key.upper()}")}
    return load_settings(project.path, **given)


def _tags(project: Project, config: Config, run_params: Mapping[str, Any]) -> dict[str, str]:
    from ratoon.tracking.context import git_state

    command = replayable_command(run_params, Redactor(config.redact), project.conf_source)
    return {
        **git_state(project.path),
        # Not the words that the process was started with: they may hold secrets.
        "ratoon.command": command,
        "mlflow.source.name": str(project.path),
        "mlflow.source.type": "PROJECT",
        "kedro.pipeline": pipeline_name(run_params),
        "kedro.env": project.environment,
        "kedro.run_id": kedro_run_id(run_params),
        "kedro.runner": runner_name(run_params),
        "kedro.version": str(run_params.get("kedro_version", "")),
        "kedro.command": command,
        **config.tags,
    }


def _message(error: BaseException) -> str:
    text = without_userinfo(f"{type(error).__name__}: {error}").replace("\0", "")
    return text[:2000]


def _announce(run_id: str, status: RunStatus) -> None:
    if logger.level == logging.NOTSET:
        # Kedro leaves the root at WARNING and raises its own and the project's logger to INFO; so do we.
        logger.setLevel(logging.INFO)
    logger.info("run %s is %s; see it with: ratoon runs show %s", run_id, status.value, run_id)
