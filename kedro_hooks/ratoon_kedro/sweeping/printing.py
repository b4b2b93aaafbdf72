"""What a sweep says: each trial on a line, and in the end the best one and how to run it again."""

from __future__ import annotations

import shlex

import click

from ratoon.cli.output import print_table
from ratoon.entities import Run
from ratoon_kedro.recording.params import Redactor
from ratoon_kedro.sweeping.plan import Plan, run_command, secret_params
from ratoon_kedro.sweeping.records import Outcome, TrialRecord
from ratoon_kedro.sweeping.starting import Result


def print_start(plan: Plan, parent: Run) -> None:
    """Say which sweep this is."""
    jobs = f", {plan.jobs} at a time" if plan.jobs > 1 else ""
    click.echo(
        f"sweep '{plan.study}' (run {parent.run_id}): {plan.trials} trials{jobs}, {plan.direction} {plan.metric}"
    )


def print_trial(plan: Plan, record: TrialRecord) -> None:
    """One line about a trial that has ended."""
    values = " ".join(f"{name}={_short(value)}" for name, value in record.values.items())
    said = (
        f"{plan.metric} {record.value:.6g}" if record.outcome is Outcome.COMPLETE else f"{record.outcome} {record.why}"
    )
    click.echo(f"trial {record.number:<4} {record.run_id[:8]}  {said.rstrip()}  ({values})")


def print_result(result: Result, redactor: Redactor) -> None:
    """The best trial as a table and as a command; how to go on if the sweep was broken off."""
    counts = {outcome: sum(each.outcome is outcome for each in result.trials) for outcome in Outcome}
    click.echo(f"{len(result.trials)} trials: " + ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n))
    if result.best is not None:
        print_table(
            ["parameter", "best"],
            [(name, _short(value, 8)) for name, value in result.best.values.items()],
            empty="",
            title=f"{result.plan.metric} = {result.best.value!r} in run {result.best.run_id}",
        )
        click.echo(f"run it again: {run_command(result.plan, result.best.values, redactor)}")
    elif not result.interrupted:
        click.echo("no trial was complete: see what the last ones say, or 'kedro ratoon runs'")
    if result.interrupted:
        click.echo(f"broken off; go on with: {_resume(result, redactor)}")


def _resume(result: Result, redactor: Redactor) -> str:
    secret = ",".join(f"{name}=…" for name in secret_params(result.plan, redactor))
    return shlex.join(
        ["kedro", "ratoon", "sweep", "--resume", result.parent, *(["--params", secret] if secret else [])]
    )


def _short(value: object, digits: int = 4) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
