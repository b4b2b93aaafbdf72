"""A sweep from its plan to its end: a new one, or one that goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from msgspec import Struct

from ratoon.cli.selecting import find_run
from ratoon.entities import Run, RunStatus
from ratoon.errors import InvalidInput
from ratoon.tracking.client import Client
from ratoon.tracking.context import random_name
from ratoon_kedro.options.project_store import ProjectStore
from ratoon_kedro.recording.params import Redactor
from ratoon_kedro.sweeping import liveness
from ratoon_kedro.sweeping.loop import Sweep
from ratoon_kedro.sweeping.plan import Plan, make_plan, resumed, sweep_command
from ratoon_kedro.sweeping.processes import Processes
from ratoon_kedro.sweeping.records import COMMAND, STUDY, SweepRecords, TrialRecord, find_sweep, read_plan
from ratoon_kedro.sweeping.study import Study

KIND = "ratoon.sweep"
TOLD = ("metric", "direction", "sampler", "pruner", "seed")


class Result(Struct, frozen=True, kw_only=True):
    """What a sweep has found out.

    Attributes:
        plan: The sweep.
        parent: Its run.
        trials: Every trial that has ended.
        best: The best of them; None if none is complete.
        interrupted: Whether it was broken off.
    """

    plan: Plan
    parent: str
    trials: tuple[TrialRecord, ...]
    best: TrialRecord | None
    interrupted: bool


class Prepared(Struct, frozen=True, kw_only=True):
    """A sweep that is about to start: its plan, its run, how its trials are run, and what takes secrets out."""

    client: Client
    plan: Plan
    parent: Run
    processes: Processes
    redactor: Redactor


def prepare(store: ProjectStore, values: Mapping[str, Any], resume: str | None, *, fresh: bool = False) -> Prepared:
    """Make the parent run, or find the one to go on with.

    Args:
        store: The project, and where its runs are.
        values: What file and options say, by key of the plan.
        resume: The parent run of the sweep to go on with; None for a new one, or the one of the same study.
        fresh: Whether each trial starts a Python of its own rather than being forked.

    Raises:
        RatoonError: The plan cannot be used, Optuna is missing, or the sweep is under way elsewhere.
    """
    client = Client(store.settings)
    parent = find_run(client, resume) if resume else _of_study(client, store, values.get("study"))
    if parent is None:
        plan = make_plan({**values, "study": values.get("study") or random_name()})
        Study(plan)  # refuses now what it would refuse later
        parent = _new_parent(client, store, plan)
    else:
        plan = resumed(read_plan(client, parent), values)
        Study(plan)
        parent = _taken_up(client, parent)
    processes = Processes(store, plan.command, fresh=fresh)
    return Prepared(client=client, plan=plan, parent=parent, processes=processes, redactor=store.redactor)


def sweep(prepared: Prepared, report: Callable[[TrialRecord], None]) -> Result:
    """Run trials until there are as many as wanted, or until Ctrl-C or SIGTERM; then write down what came out.

    Raises:
        RatoonError: It cannot go on.
    """
    plan, parent = prepared.plan, prepared.parent
    records = SweepRecords(prepared.client, parent, plan, prepared.redactor)
    running = Sweep(plan, records, prepared.processes, report)
    status = RunStatus.FAILED
    try:
        with _sigterm_interrupts():
            records.write_plan()
            running.take_up()
            running.run()
        status = RunStatus.FAILED if running.best is None else RunStatus.FINISHED
    except KeyboardInterrupt:
        status = RunStatus.KILLED
    finally:
        with _undisturbed():
            running.break_off()
            records.write_summary(running.done, running.best)
            records.end_sweep(status)
            prepared.client.close()
    return Result(
        plan=plan,
        parent=parent.run_id,
        trials=tuple(sorted(running.done, key=lambda each: each.number)),
        best=running.best,
        interrupted=status is RunStatus.KILLED,
    )


def _of_study(client: Client, store: ProjectStore, study: str | None) -> Run | None:
    return find_sweep(client, store.experiment, study) if study else None


def _new_parent(client: Client, store: ProjectStore, plan: Plan) -> Run:
    run = client.start_run(
        experiment=store.experiment,
        run_name=plan.study,
        tags={
            STUDY: plan.study,
            COMMAND: sweep_command(plan, store.redactor),
            liveness.PROCESS: liveness.this_process(),
            **{f"{KIND}.{key}": str(getattr(plan, key)) for key in TOLD},
        },
    )
    return run.info


def _taken_up(client: Client, parent: Run) -> Run:
    """The parent run of a sweep that goes on, which is this process's from now on."""
    if parent.status is RunStatus.RUNNING and liveness.is_alive(parent.tags):
        raise InvalidInput(
            f"sweep '{parent.tags.get(STUDY)}' is under way (process {parent.tags.get(liveness.PROCESS)}); wait for"
            " its end, or interrupt it"
        )
    run = client.start_run(run_id=parent.run_id, tags={liveness.PROCESS: liveness.this_process()})
    return run.info


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put things in order although Ctrl-C is pressed again."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
