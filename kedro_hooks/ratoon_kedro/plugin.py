"""The hooks that Kedro calls. Each is a guard around one function of the other modules.

Nothing of ratoon is imported before a pipeline runs, so that a broken installation costs a warning and no run.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from kedro.framework.hooks import hook_impl

from ratoon_kedro.switches import CATALOG_KEY, is_tracked, switched_off

logger = logging.getLogger(__name__)


class RatoonHooks:
    """Tracks every run of a Kedro project.

    ``pip install`` registers an instance by itself. An instance that the project lists in its ``settings.py`` takes its
    place: pluggy knows a plugin by its ``__name__``, and this is the entry point's name.
    """

    def __init__(self) -> None:
        self.__name__ = "ratoon"

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Learn which project this is, and make ``ratoon.yml`` known to its config loader."""
        if switched_off():
            return
        try:
            from ratoon_kedro.context import remember_project
            from ratoon_kedro.options.config import announce

            announce(context.config_loader)
            remember_project(context)
            # What this thread logs from now on is of the run that it prepares.
            if (logs := sys.modules.get("ratoon_kedro.describing.logs")) is not None:
                logs.bind("")
        except Exception as error:
            _warn("learn about the project", error)

    @hook_impl
    def after_catalog_created(self, catalog: Any, conf_catalog: dict[str, Any], parameters: dict[str, Any]) -> None:
        """Learn how the catalog is configured, and which parameters there are."""
        if switched_off():
            return
        try:
            from ratoon_kedro.describing.effective import remember_catalog

            remember_catalog(catalog, conf_catalog, parameters)
            if "ratoon_kedro.datasets." in str(conf_catalog):
                from ratoon_kedro.datasets.binding import name_datasets

                name_datasets(catalog)
        except Exception as error:
            _warn("learn about the catalog", error)

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        """Begin a tracked run."""
        if switched_off():
            return
        project = None
        try:
            from ratoon_kedro.context import current_project
            from ratoon_kedro.lifecycle import start

            project = current_project(run_params)
            start(project, run_params, pipeline, catalog)
        except Exception as error:
            if _wants_strict(project):
                raise
            _warn("begin to track this run", error)

    @hook_impl
    def before_node_run(self, node: Any, catalog: Any, inputs: dict[str, Any]) -> None:
        """Record the parameters and datasets that the node received."""
        if (context := _context(catalog)) is not None:
            from ratoon_kedro import state
            from ratoon_kedro.describing import logs
            from ratoon_kedro.recording import nodes

            logs.bind(context.run_id)
            nodes.expect_saves(None)
            with nodes.guard(f"record the start of node {node.name!r}", context):
                nodes.node_starts(state.tracked_run(context), node, catalog, inputs)

    @hook_impl
    def after_node_run(self, node: Any, catalog: Any, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        """Record the metrics and models that the node returned, and its time."""
        if (context := _context(catalog)) is not None:
            from ratoon_kedro import state
            from ratoon_kedro.recording import nodes

            with nodes.guard(f"record the end of node {node.name!r}", context):
                tracked = state.tracked_run(context)
                saving = nodes.Saving(tracked, catalog, node)
                nodes.expect_saves(saving)
                nodes.node_ends(saving, inputs, outputs)

    @hook_impl
    def on_node_error(self, node: Any, catalog: Any) -> None:
        """Record which node failed."""
        if (context := _context(catalog)) is not None:
            from ratoon_kedro import state
            from ratoon_kedro.recording import nodes

            with nodes.guard(f"record the failure of node {node.name!r}", context):
                nodes.node_fails(state.tracked_run(context), node)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Any) -> None:
        """Record the dataset with its version and digest."""
        # Told neither catalog nor run: if no node was tracked yet, nothing was imported either.
        if (nodes := sys.modules.get("ratoon_kedro.recording.nodes")) is not None:
            nodes.dataset_saved(dataset_name, data, node)

    @hook_impl
    def after_pipeline_run(self, catalog: Any) -> None:
        """End the run well."""
        if (context := _context(catalog)) is not None:
            from ratoon.entities import RunStatus
            from ratoon_kedro import lifecycle
            from ratoon_kedro.recording import nodes

            with nodes.guard("end the run", context):
                lifecycle.finish(context.run_id, RunStatus.FINISHED)

    @hook_impl
    def on_pipeline_error(self, error: Exception, catalog: Any) -> None:
        """End the run as failed."""
        if (context := _context(catalog)) is not None:
            from ratoon_kedro import lifecycle, state
            from ratoon_kedro.recording import nodes

            with nodes.guard("end the run", context):
                lifecycle.fail(state.tracked_run(context), error)


def _context(catalog: Any) -> Any:
    """The context of the run that the catalog belongs to; None if it is not tracked."""
    # Kedro's public ways to a dataset list all names and describe it for a log: a quarter of what a node costs here.
    held = getattr(getattr(catalog, "_datasets", {}).get(CATALOG_KEY), "_data", None)
    if hasattr(held, "run_id"):
        return held
    if not is_tracked(catalog):
        return None
    try:
        from ratoon_kedro.context import context_of

        return context_of(catalog)
    except Exception as error:
        _warn("find out which run this is", error)
        return None


def _wants_strict(project: Any) -> bool:
    try:
        from ratoon_kedro.options.config import read_raw

        return read_raw(project.config_loader).get("strict") is True
    except Exception:  # what cannot be read asks for nothing
        return False


def _warn(doing: str, error: Exception) -> None:
    logger.warning("ratoon could not %s (%s: %s); the pipeline goes on", doing, type(error).__name__, error)
    logger.debug("the cause:", exc_info=True)
