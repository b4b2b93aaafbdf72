"""``ratoon compare``: runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import click

from ratoon.cli.output import client_of, format_duration, format_value, json_option, print_json, print_table
from ratoon.cli.selecting import find_run
from ratoon.entities import Run

# Tags that are different in every run say nothing about how two of them differ.
_OF_EVERY_RUN = ("mlflow.runName", "ratoon.command", "kedro.run_id", "kedro.command")


@click.command
@click.argument("runs", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all of them.")
@json_option
@click.pass_context
def compare(ctx: click.Context, runs: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Show RUNS side by side: metrics, and the params and tags that differ."""
    client = client_of(ctx)
    found = [find_run(client, named) for named in runs]
    if as_json:
        print_json({run.run_id: {"params": run.params, "metrics": _values(run), "tags": run.tags} for run in found})
        return
    heads = [f"{run.run_name} ({run.run_id[:8]})" for run in found]
    state = [("status", *(run.status for run in found)), ("took", *(_took(run) for run in found))]
    print_table(["", *heads], state, empty="")
    _print_part("metric", heads, found, _values, differing=False)
    _print_part("param", heads, found, lambda run: run.params, differing=not everything)
    _print_part("tag", heads, found, _telling_tags, differing=not everything)


def _print_part(
    what: str,
    heads: Sequence[str],
    runs: Sequence[Run],
    part: Callable[[Run], Mapping[str, object]],
    *,
    differing: bool,
) -> None:
    parts = [part(run) for run in runs]
    rows = []
    for key in sorted({key for each in parts for key in each}):
        values = [format_value(each.get(key)) for each in parts]
        if not differing or len(set(values)) > 1:
            rows.append([key, *values])
    print_table([what, *(f"{head}>" for head in heads)], rows, empty=f"no {what} differs\n")


def _values(run: Run) -> Mapping[str, float]:
    return {key: each.value for key, each in run.metrics.items()}


def _telling_tags(run: Run) -> Mapping[str, str]:
    return {key: value for key, value in run.tags.items() if key not in _OF_EVERY_RUN}


def _took(run: Run) -> str:
    return format_duration(run.start_time, run.end_time)
