"""A sweep in the tracking store: the parent run with its plan, and a child run for each trial."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from ratoon.clock import now_ms
from ratoon.entities import Query, Run, RunBatch, RunStatus
from ratoon.errors import InvalidInput, NotFound
from ratoon.tracking.client import Client
from ratoon.tracking.locations import artifact_key
from ratoon.tracking.run import ActiveRun
from ratoon_kedro.describing.tags import ERROR
from ratoon_kedro.describing.tags import TRIAL as NUMBER
from ratoon_kedro.recording.params import Redactor
from ratoon_kedro.sweeping import plan as plans
from ratoon_kedro.sweeping.plan import Plan

FILE = "sweep.json"
FORMAT = 1

STUDY = "ratoon.sweep.study"
VALUES = "ratoon.sweep.values"
PRUNED = "ratoon.sweep.pruned"
BEST_RUN = "ratoon.sweep.best_run"
BEST_VALUE = "ratoon.sweep.best_value"
NO_METRIC = "it has no such metric"
COMMAND = "ratoon.command"  # instead of what stands on this process's command line, secrets included
_PARENT = "mlflow.parentRunId"
_PAGE = 1000


class Outcome(StrEnum):
    """How a trial ended, as far as the search is concerned."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    BROKEN_OFF = "broken off"


class TrialRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A trial as the store knows it.

    Attributes:
        number: Counted from 0.
        run_id: Its run.
        values: What was tried, by parameter.
        outcome: How it ended.
        value: The metric, if the run has it.
        history: The metric that is watched, by step.
        why: What went wrong, or at which step it was stopped.
    """

    number: int
    run_id: str
    values: Mapping[str, Any]
    outcome: Outcome
    value: float | None = None
    history: Mapping[int, float] = msgspec.field(default_factory=dict)
    why: str = ""


class SweepRecords:
    """The runs of a sweep.

    Args:
        client: Where they are kept.
        parent: The run that holds the plan.
        plan: The sweep.
        redactor: What takes secrets out of what is written.
    """

    def __init__(self, client: Client, parent: Run, plan: Plan, redactor: Redactor) -> None:
        self._client, self._plan, self._redactor = client, plan, redactor
        self.parent = parent
        self._experiment = client.tracking.get_experiment(parent.experiment_id).name

    def start_trial(self, number: int, values: Mapping[str, Any]) -> str:
        """Create the run of a trial, before its process is there; returns its id."""
        command = plans.run_command(self._plan, values, self._redactor)
        tags = {STUDY: self._plan.study, NUMBER: str(number), VALUES: json.dumps(values), COMMAND: command}
        started = self._client.start_run(
            experiment=self._experiment,
            run_name=f"{self._plan.study}-{number}",
            run_id=uuid.uuid4().hex,
            tags=tags,
            parent_run_id=self.parent.run_id,
        )
        return started.run_id

    def trials(self) -> list[TrialRecord]:
        """Every trial that has a run, in the order of their numbers."""
        found: list[Run] = []
        token: str | None = None
        while True:
            query = Query(filter=f"tags.`{_PARENT}` = '{self.parent.run_id}'", limit=_PAGE, page_token=token)
            page = self._client.tracking.search_runs([self.parent.experiment_id], query)
            found += [run for run in page.items if NUMBER in run.tags and VALUES in run.tags]
            token = page.next_token
            if token is None:
                break
        return [self._read(run) for run in sorted(found, key=lambda run: (int(run.tags[NUMBER]), run.start_time))]

    def read(self, run_id: str) -> TrialRecord:
        """A trial as it stands."""
        return self._read(self._client.tracking.get_run(run_id))

    def history(self, run_id: str) -> dict[int, float]:
        """The metric that is watched, by step; the last value where a step has several."""
        if self._plan.watched is None:
            return {}
        return {point.step: point.value for point in self._client.tracking.metric_history(run_id, self._plan.watched)}

    def metrics(self, run_id: str) -> list[str]:
        """The names of the metrics that a run has, its nodes' times aside."""
        return sorted(key for key in self._client.tracking.get_run(run_id).metrics if not key.startswith("kedro/"))

    def params(self, run_id: str) -> list[str]:
        """The names of the parameters that the nodes of a run received."""
        return sorted(self._client.tracking.get_run(run_id).params)

    def mark(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        self._client.tracking.log_batch(RunBatch(run_id=run_id, tags=dict(tags)))

    def end(self, run_id: str, status: RunStatus) -> None:
        """End a run that its own process has not ended."""
        if self._client.tracking.get_run(run_id).status in (RunStatus.RUNNING, RunStatus.SCHEDULED):
            self._client.tracking.update_run(run_id, status=status, end_time=now_ms())

    def end_sweep(self, status: RunStatus) -> None:
        """End the parent."""
        self._client.tracking.update_run(self.parent.run_id, status=status, end_time=now_ms())

    def write_plan(self) -> None:
        """Write down what the sweep is to do, before anything is done: whoever resumes it reads it there."""
        self._write(self._client.attach(self.parent.run_id), self.trials(), None)

    def write_summary(self, trials: list[TrialRecord], best: TrialRecord | None) -> None:
        """Write the plan and every trial into the parent's file, and the best one into its tags."""
        run = self._client.attach(self.parent.run_id)
        if best is not None and best.value is not None:
            run.set_tags({BEST_RUN: best.run_id, BEST_VALUE: repr(best.value)})
            run.log_metric(self._plan.metric, best.value, step=best.number)
            run.flush()
        self._write(run, trials, best)

    def _write(self, run: ActiveRun, trials: list[TrialRecord], best: TrialRecord | None) -> None:
        rows = [msgspec.to_builtins(msgspec.structs.replace(each, history={})) for each in trials]
        number = None if best is None else best.number
        plan = plans.encode(self._plan, self._redactor)
        run.log_dict({"format": FORMAT, "plan": plan, "best": number, "trials": rows}, FILE)

    def _read(self, run: Run) -> TrialRecord:
        metric = run.metrics.get(self._plan.metric)
        value = None if metric is None else metric.value
        outcome, why = _outcome(run, value)
        return TrialRecord(
            number=int(run.tags[NUMBER]),
            run_id=run.run_id,
            values=json.loads(run.tags[VALUES]),
            outcome=outcome,
            value=value,
            history=self.history(run.run_id) if outcome is not Outcome.FAILED else {},
            why=why,
        )


def find_sweep(client: Client, experiment: str, study: str) -> Run | None:
    """The parent run of a study, the newest of that name; None if there is none."""
    home = client.tracking.find_experiment(experiment)
    if home is None:
        return None
    name = study.replace("'", "''")
    query = Query(filter=f"tags.`{STUDY}` = '{name}'", limit=_PAGE)
    found = client.tracking.search_runs([home.experiment_id], query).items
    return next((run for run in found if _PARENT not in run.tags), None)


def read_plan(client: Client, parent: Run) -> Plan:
    """The plan that a parent run holds; InvalidInput if the run is no sweep."""
    try:
        content = b"".join(client.artifacts.read(f"{artifact_key(parent.artifact_uri)}/{FILE}"))
        return plans.decode(msgspec.json.decode(content)["plan"])
    except (NotFound, msgspec.DecodeError, KeyError) as error:
        raise InvalidInput(
            f"run '{parent.run_id}' is no sweep (it has no {FILE}); name the parent run of one, or its --study"
        ) from error


def _outcome(run: Run, value: float | None) -> tuple[Outcome, str]:
    if PRUNED in run.tags:
        return Outcome.PRUNED, f"at step {run.tags[PRUNED]}"
    if run.status is RunStatus.FINISHED:
        if value is None:
            return Outcome.FAILED, NO_METRIC
        return (Outcome.COMPLETE, "") if math.isfinite(value) else (Outcome.FAILED, f"the metric is {value}")
    if run.status is RunStatus.FAILED:
        return Outcome.FAILED, run.tags.get(ERROR, "")
    return Outcome.BROKEN_OFF, ""
