"""``ratoon runs``: which runs there are, and what one of them recorded."""

from __future__ import annotations

import click

from ratoon.cli.output import (
    client_of,
    format_duration,
    format_time,
    json_option,
    print_json,
    print_table,
)
from ratoon.cli.selecting import find_run
from ratoon.entities import Run
from ratoon.errors import NotFound
from ratoon.tracking.client import Client


@click.group(invoke_without_command=True)
@click.option("--experiment", help="Only this experiment's.")
@click.option("--limit", default=20, show_default=True, help="How many, at most.")
@json_option
@click.pass_context
def runs(ctx: click.Context, experiment: str | None, limit: int, as_json: bool) -> None:
    """List the runs, the last started first; or show one of them."""
    if ctx.invoked_subcommand is None:
        _list(client_of(ctx), experiment, limit, as_json)


@runs.command("show")
@click.argument("run")
@json_option
@click.pass_context
def show_run(ctx: click.Context, run: str, as_json: bool) -> None:
    """Show what RUN recorded: an id, the beginning of one, a name, or 'latest'."""
    client = client_of(ctx)
    found = find_run(client, run)
    if as_json:
        print_json(found)
        return
    click.echo(f"run {found.run_id}  {found.run_name}  {found.status}")
    click.echo(f"started {format_time(found.start_time)} UTC, took {_took(found)}\n")
    print_table(["param", "value"], sorted(found.params.items()), empty="no params\n")
    figures = [(key, each.value, each.step) for key, each in sorted(found.metrics.items())]
    print_table(["metric", "last value>", "step>"], figures, empty="no metrics\n")
    data = [(each.dataset.name, each.tags.get("mlflow.data.context"), each.dataset.source) for each in found.inputs]
    print_table(["dataset", "role", "source"], data, empty="no datasets\n")
    models = [(each.name, f"models:/{each.model_id}", each.status) for each in client.tracking.run_models(found.run_id)]
    print_table(["model", "URI", "status"], models, empty="no models\n")
    print_table(["tag", "value"], sorted(found.tags.items()), empty="no tags\n")


def _list(client: Client, experiment: str | None, limit: int, as_json: bool) -> None:
    found = client.tracking.list_runs(_experiment_ids(client, experiment), limit=limit).items
    if as_json:
        print_json(found)
        return
    names = {each.experiment_id: each.name for each in client.tracking.list_experiments().items}
    print_table(
        ["run", "name", "experiment", "status", "started (UTC)", "took>", "metrics"],
        [_row(run, names.get(run.experiment_id, run.experiment_id)) for run in found],
        empty="no runs yet; start one with 'kedro run', or with ratoon.start_run() in Python",
    )


def _experiment_ids(client: Client, name: str | None) -> list[str]:
    if name is None:
        return []
    found = client.tracking.find_experiment(name)
    if found is None:
        raise NotFound(f"experiment {name!r} does not exist; list them with 'ratoon experiments'")
    return [found.experiment_id]


def _took(run: Run) -> str:
    return format_duration(run.start_time, run.end_time)


def _row(run: Run, experiment: str) -> list[object]:
    # Times of nodes and system metrics live under a prefix: they would crowd out what the run is about.
    metrics = [f"{key}={each.value:.4g}" for key, each in run.metrics.items() if "/" not in key]
    shown = ", ".join(metrics[:4]) + (" …" if len(metrics) > 4 else "")
    return [run.run_id[:8], run.run_name, experiment, run.status, format_time(run.start_time), _took(run), shown]
