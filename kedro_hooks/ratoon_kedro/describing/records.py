"""What is written about a run when it ends: the pipeline's graph, and the configuration it had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ratoon.entities import RunStatus
from ratoon_kedro.describing.effective import ARTIFACT, describe_configuration
from ratoon_kedro.describing.graph import Execution, describe_pipeline
from ratoon_kedro.describing.run_folder import NodeTime, noted_times
from ratoon_kedro.guarding import guard
from ratoon_kedro.state import Owned, Tracked

GRAPH = "kedro/pipeline.json"


class Failure(NamedTuple):
    """What broke a pipeline, and in which node, if that is known."""

    message: str
    node: str | None


def node_times(tracked: Tracked) -> Mapping[str, NodeTime]:
    """When nodes ran, in this process and in others."""
    folder = tracked.context.folder
    return {**(noted_times(folder) if folder else {}), **tracked.times}


def write_records(tracked: Tracked, owned: Owned, status: RunStatus, failure: Failure | None = None) -> None:
    """Write the documents, each on its own: one that cannot be written does not cost the other."""
    context = tracked.context
    with guard("write the pipeline's graph", context):
        execution = Execution(
            times=node_times(tracked),
            failed=failure.node if failure else None,
            error=failure.message if failure else None,
            complete=status is RunStatus.FINISHED,
            only_missing_outputs=bool(owned.run_params.get("only_missing_outputs")),
        )
        tracked.run.log_dict(describe_pipeline(owned.pipeline, owned.catalog, execution), GRAPH)
    with guard("write the configuration", context):
        document = describe_configuration(
            owned.resolved, owned.run_params, context.config, context.settings, context.redactor
        )
        tracked.run.log_dict(document, ARTIFACT)
