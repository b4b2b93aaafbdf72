"""Run a Kedro pipeline as a task, tracked.

Kedro runs in a process of its own: it may have another interpreter, it cannot touch the task's memory, and it ends with
everything that it started when the task is killed.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ratoon_airflow.hooks.ratoon import environment
from ratoon_airflow.operators.base import RatoonOperator
from ratoon_airflow.process import Outcome, StreamedProcess
from ratoon_airflow.runs import airflow_tags, close_run, run_report, tracked_run_id

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ratoon.tracking.client import Client

Names = Sequence[str] | str | None

SELECTIONS = ("tags", "nodes", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces")


class KedroOperator(RatoonOperator):
    """Runs ``kedro run`` in a project's folder and returns what the run recorded.

    The tracked run has the same id in every try of the task instance, so that a retry adds to the run of the last try:
    one run in the record, not one for each try. The value returned is::

        {"run_id": "…", "status": "FINISHED", "metrics": {"accuracy": 0.97}, "params": {"model.C": "1.0"},
         "models": {"classifier": "m-…"}, "model_versions": [{"name": "wine", "version": 3}]}

    Args:
        project_path: The folder with the project's ``pyproject.toml``, on the worker.
        pipeline: The registered pipeline to run (Kedro 1.2 or later); ``__default__`` if None.
        env: The configuration environment, a folder below ``conf``.
        runtime_params: What ``kedro run --params`` is given, nested or with dots in the keys. Texts are read as on the
            command line, so that a template that renders to ``0.5`` is a number.
        tags: Run the nodes that have one of these tags.
        nodes: Run these nodes only.
        from_nodes: Run these nodes and what comes after them.
        to_nodes: Run these nodes and what comes before them.
        from_inputs: Run what needs one of these datasets.
        to_outputs: Run what leads to these datasets.
        namespaces: Run the nodes of these namespaces.
        python: The interpreter to run Kedro with, that of the worker if None; it must have ``ratoon[kedro]``.
    """

    template_fields: Sequence[str] = ("project_path", "pipeline", "env", "runtime_params", *SELECTIONS, "python")
    template_fields_renderers: ClassVar[dict[str, str]] = {"runtime_params": "json"}

    def __init__(
        self,
        *,
        project_path: str,
        pipeline: str | None = None,
        env: str | None = None,
        runtime_params: Mapping[str, Any] | None = None,
        tags: Names = None,
        nodes: Names = None,
        from_nodes: Names = None,
        to_nodes: Names = None,
        from_inputs: Names = None,
        to_outputs: Names = None,
        namespaces: Names = None,
        python: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project_path = project_path
        self.pipeline = pipeline
        self.env = env
        self.runtime_params = runtime_params
        self.tags = tags
        self.nodes = nodes
        self.from_nodes = from_nodes
        self.to_nodes = to_nodes
        self.from_inputs = from_inputs
        self.to_outputs = to_outputs
        self.namespaces = namespaces
        self.python = python
        self._process: StreamedProcess | None = None

    def work(self, client: Client, context: Context) -> object:
        """Run Kedro to its end, then read what it recorded."""
        run_id = tracked_run_id(context)
        process = self._process = self._prepare(environment(client.settings) | {"RATOON_RUN_ID": run_id})
        outcome = Outcome(-signal.SIGTERM, ())
        try:
            outcome = process.run(self._tell)
        except OSError as error:
            raise AirflowFailException(
                f"interpreter '{self._interpreter()}' cannot be started ({error.strerror}); "
                "give python as a path that exists on the worker"
            ) from error
        finally:  # a timeout, too, must not leave a run that seems to go on
            run = close_run(client, run_id, exit_code=outcome.exit_code, tags=airflow_tags(context))
        if outcome.exit_code != 0:
            raise AirflowException(self._failure(outcome, run_id))
        if run is None:
            raise AirflowFailException(
                f"kedro run of '{self.project_path}' succeeded and recorded nothing (no run '{run_id}' in "
                f"the tracking store of connection '{self.ratoon_conn_id}'); install ratoon[kedro] for "
                f"{self._interpreter()}, or see in the log above why tracking did not begin"
            )
        return run_report(client, run)

    def on_kill(self) -> None:
        """Stop Kedro and everything that it started."""
        if self._process is not None:
            self._process.terminate()

    def command(self) -> list[str]:
        """The command line, without a shell; no secret is in it."""
        command = [self._interpreter(), "-m", "kedro", "run"]
        if self.pipeline:
            command.append(f"--pipelines={self.pipeline}")
        if self.env:
            command.append(f"--env={self.env}")
        for selection in SELECTIONS:
            if names := getattr(self, selection):
                command.append(
                    f"--{selection.replace('_', '-')}={names if isinstance(names, str) else ','.join(names)}"
                )
        if self.runtime_params:
            command.append(f"--params={','.join(_assignments(self.runtime_params))}")
        return command

    def _prepare(self, variables: Mapping[str, str]) -> StreamedProcess:
        folder = Path(self.project_path)
        if not (folder / "pyproject.toml").is_file():
            raise AirflowFailException(
                f"Kedro project '{self.project_path}' is not on this worker (no pyproject.toml in that folder); "
                "give project_path as the worker sees it"
            )
        # COLUMNS: Kedro's log handler wraps at 80 columns where there is no terminal. The worker's own setting stays.
        surroundings = {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"} | dict(os.environ) | dict(variables)
        process = StreamedProcess(self.command(), folder=folder, environment=surroundings)
        self.log.info("in %s: %s", folder, shlex.join(process.command))
        return process

    def _tell(self, line: str) -> None:
        self.log.info("%s", line)

    def _interpreter(self) -> str:
        return self.python or sys.executable

    def _failure(self, outcome: Outcome, run_id: str) -> str:
        stopped = self._process is not None and self._process.stopped
        state = "was stopped with its task" if stopped else "failed"
        last_lines = "\n".join(outcome.tail) or "(it printed nothing)"
        return (
            f"kedro run of '{self.project_path}' {state} (exit code {outcome.exit_code}, tracked run {run_id}); "
            f"its last lines:\n{last_lines}"
        )


def _assignments(params: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Parameters as ``key=value``, nested ones with dots."""
    for key, value in params.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _assignments(value, f"{name}.")
            continue
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        if "," in name + text or "=" in name:
            raise AirflowFailException(
                f"runtime parameter '{name}' is {text!r} (the command line of kedro run splits at commas); "
                "keep it in the parameters of a configuration environment, and name that as env"
            )
        yield f"{name}={text}"
