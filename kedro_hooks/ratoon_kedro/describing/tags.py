"""The tags that tell how a run was started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon_kedro.context import Project, redactor_of
from ratoon_kedro.describing.command import kedro_run_id, pipeline_name, replayable_command, runner_name
from ratoon_kedro.options.config import Config

ERROR = "kedro.error"
# On the runs of a sweep, which come to nothing but their metrics.
TRIAL = "ratoon.sweep.trial"
INCOMPLETE = "kedro.command_incomplete"
LONGEST = 5000  # characters that every store holds in a tag


def tags_of(project: Project, config: Config, run_params: Mapping[str, Any]) -> dict[str, str]:
    """Where the code is, how it was started, and what the project's configuration adds."""
    from ratoon.tracking.context import git_state

    command, missing = replayable_command(run_params, redactor_of(config.redact), project.conf_source)
    if len(command) > LONGEST:
        command, missing = command[:LONGEST], [*missing, "it is too long"]
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
        **({INCOMPLETE: "; ".join(missing)[:LONGEST]} if missing else {}),
        **config.tags,
    }
