"""The beginning and the end of a tracked run, in the process that runs the pipeline."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratoon.clock import now_ms
from ratoon.entities import RunStatus
from ratoon.settings import Settings
from ratoon_kedro import interrupts
from ratoon_kedro.context import Project, RunContext, put_context
from ratoon_kedro.datasets.binding import bind_datasets
from ratoon_kedro.describing import logs
from ratoon_kedro.describing.command import pipeline_name, pipeline_names
from ratoon_kedro.describing.effective import resolved_for
from ratoon_kedro.describing.fault import describe_error, node_at_fault
from ratoon_kedro.describing.graph import FAILED_NODE
from ratoon_kedro.describing.patching import keep_patch
from ratoon_kedro.describing.records import Failure, node_times, write_records
from ratoon_kedro.describing.registering import register_models
from ratoon_kedro.describing.run_folder import log_path, make_folder, remove_folder
from ratoon_kedro.describing.run_names import run_name
from ratoon_kedro.describing.tags import ERROR, TRIAL, tags_of
from ratoon_kedro.guarding import guard
from ratoon_kedro.options.config import Config, load_config, settings_of
from ratoon_kedro.options.credentials import find_credentials, use_credentials
from ratoon_kedro.pipeline_models.planning import forget_pipeline_models, log_pipeline_models, plan_pipeline_models
from ratoon_kedro.recording.nodes import settle
from ratoon_kedro.recording.params import without_userinfo
from ratoon_kedro.state import Owned, Tracked, keep, let_go, owned_runs

if TYPE_CHECKING:
    from ratoon.tracking.client import Client
    from ratoon.tracking.run import ActiveRun

TRACEBACK = "kedro/traceback.txt"

logger = logging.getLogger("ratoon_kedro")


def start(project: Project, run_params: Mapping[str, Any], pipeline: Any, catalog: Any) -> None:
    """Begin a tracked run and send its context along with the catalog; nothing if the project does not want it."""
    config = load_config(project.config_loader)
    if not config.tracks(pipeline_names(run_params)):
        return
    from ratoon.tracking.client import Client

    if logger.level == logging.NOTSET:
        # Kedro leaves the root at WARNING and raises its own and the project's logger to INFO; so do we.
        logger.setLevel(logging.INFO)
    credentials = find_credentials(config.credentials, project.config_loader)
    use_credentials(credentials)
    settings = settings_of(project.path, project.package, config)
    owned = Owned(pipeline, now_ms(), catalog, project, run_params, resolved_for(catalog))
    plan = plan_pipeline_models(config, pipeline_names(run_params), pipeline, catalog)
    client = Client(settings)
    try:
        run = _start_run(client, config, owned)
    except BaseException:
        client.close()
        raise
    folder = _folder()
    context = RunContext(
        run_id=run.run_id,
        settings=settings,
        run=run.info,
        config=config,
        folder=folder,
        log_file=_begin_log(run.run_id, catalog, folder) if config.logs and folder else None,
        credentials=credentials,
        plan=plan,
    )
    tracked = Tracked(context, client, run, owned, params=dict(run.info.params))
    keep(tracked)
    interrupts.install(end_open_runs)
    try:
        _prepare(tracked, owned)
        put_context(catalog, context)
    except BaseException as error:
        fail(tracked, error)
        raise


def fail(tracked: Tracked, error: BaseException) -> None:
    """End a run whose pipeline broke."""
    message, node = _message(error), None
    tracked.run.set_tag(ERROR, message)
    with guard("find out which node failed", tracked.context):
        node = _failed_node(tracked, error)
        if node is not None:
            tracked.run.set_tag(FAILED_NODE, node)
    with guard("keep the traceback", tracked.context):
        tracked.run.log_text(describe_error(error), TRACEBACK)
    finish(tracked.context.run_id, RunStatus.FAILED, Failure(message, node))


def finish(run_id: str, status: RunStatus, failure: Failure | None = None) -> None:
    """End a run, once: write its records, register what the project asks for, say where it can be seen."""
    tracked = let_go(run_id)
    if tracked is None or tracked.owned is None:
        return
    owned = tracked.owned
    try:
        with guard("complete the run's record", tracked.context):
            settle(tracked)
            tracked.run.flush()
            write_records(tracked, owned, status, failure)
            if status is RunStatus.FINISHED and TRIAL not in tracked.run.info.tags:
                log_pipeline_models(tracked, owned)
                register_models(tracked, owned.pipeline, owned.since, owned.project.path)
    except BaseException:  # the project is strict, and so its run did not go well
        status = RunStatus.FAILED
        raise
    finally:
        forget_pipeline_models(tracked)
        try:
            _keep_log(tracked)
        finally:
            if tracked.context.folder is not None:
                remove_folder(tracked.context.folder)
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


def _prepare(tracked: Tracked, owned: Owned) -> None:
    """Record what there is before the first node runs, and tell the project's datasets which run this is."""
    context, interval = tracked.context, tracked.context.config.system_metrics
    if interval is not None:
        with guard("sample how busy the machine is", context):
            tracked.run.log_system_metrics(interval)
    with guard("keep what is not committed", context):
        keep_patch(tracked.run, owned.project.path, context.redactor)
    with guard("tell the datasets which run this is", context):
        bind_datasets(owned.pipeline, owned.catalog, context)


def _start_run(client: Client, config: Config, owned: Owned) -> ActiveRun:
    _ = client.artifacts  # opened here rather than by several nodes at once
    tags = tags_of(owned.project, config, owned.run_params)
    run = client.start_run(
        run_name=_run_name(config, owned, tags, client.settings),
        run_id=os.environ.get("RATOON_RUN_ID") or None,
        tags=tags,
    )
    run.set_tags({tag: "" for tag in (ERROR, FAILED_NODE) if run.info.tags.get(tag)})  # of an earlier try
    run.flush()
    return run


def _run_name(config: Config, owned: Owned, tags: Mapping[str, str], settings: Settings) -> str:
    default = pipeline_name(owned.run_params)
    context = RunContext(run_id="", settings=settings, config=config)
    if config.run_name is None:
        return default
    facts = {
        "pipeline": default,
        "env": owned.project.environment,
        "user": settings.user,
        "git": tags.get("mlflow.source.git.commit", "")[:7] or "no-git",
    }
    with guard("name the run as the project asks for", context):
        parameters = owned.resolved.parameters.get("parameters", {})
        return run_name(config.run_name, facts, parameters, context.redactor) or default
    return default


def _folder() -> str | None:
    with guard("make a folder for what the run's processes tell each other", None):
        return make_folder()
    return None


def _begin_log(run_id: str, catalog: Any, folder: str) -> str | None:
    with guard("keep the run's log", None):
        logs.begin(run_id, catalog, log_path(folder))
        return log_path(folder)
    return None


def _keep_log(tracked: Tracked) -> None:
    if tracked.context.log_file is None:
        return
    with guard("keep the run's log", tracked.context):
        if (file := logs.finish(tracked.context.run_id)) is not None:
            tracked.run.log_artifact(file, "kedro")


def _failed_node(tracked: Tracked, error: BaseException) -> str | None:
    owned = tracked.owned
    node = None if owned is None else node_at_fault(error, owned.pipeline, owned.catalog)
    if node is not None:
        return node
    failed = [time.node for time in node_times(tracked).values() if time.failed]
    return failed[0] if len(failed) == 1 else None


def _message(error: BaseException) -> str:
    text = without_userinfo(f"{type(error).__name__}: {error}").replace("\0", "")
    return text[:2000]


def _announce(run_id: str, status: RunStatus) -> None:
    logger.info("run %s is %s; see it with: ratoon runs show %s", run_id, status.value, run_id)
