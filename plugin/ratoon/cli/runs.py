"""``ratoon runs``: which runs there are, what one of them recorded, and the bin."""

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
from ratoon.cli.selecting import find_experiment, find_run
from ratoon.entities import LifecycleStage, Query, Run, ViewType
from ratoon.tracking.client import Client

_NO_RUNS = "no runs yet; start one with 'kedro run', or with ratoon.start_run() in Python"
# Whose names are shown; of others their ids.
_MOST_EXPERIMENTS = 1000


@click.group(invoke_without_command=True)
@click.option("--experiment", help="Only this experiment's.")
@click.option("--filter", "condition", default="", help="Only those: \"metrics.auc > 0.9 AND params.depth = '3'\".")
@click.option("--order-by", multiple=True, help="What comes first: 'metrics.auc DESC'; may be repeated.")
@click.option("--deleted", is_flag=True, help="Deleted runs instead of active ones.")
@click.option("--limit", default=20, show_default=True, help="How many, at most.")
@json_option
@click.pass_context
def runs(
    ctx: click.Context,
    experiment: str | None,
    condition: str,
    order_by: tuple[str, ...],
    deleted: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List the runs, the last started first; or show, delete or restore one of them."""
    if ctx.invoked_subcommand is None:
        view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
        query = Query(filter=condition, order_by=order_by, view=view, limit=limit)
        _list(client_of(ctx), experiment, query, as_json)


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


@runs.command("delete")
@click.argument("run")
@click.pass_context
def delete_run(ctx: click.Context, run: str) -> None:
    """Delete RUN: it is no longer listed, and kept until 'ratoon gc' removes it."""
    client = client_of(ctx)
    found = find_run(client, run)
    client.tracking.move_run(found.run_id, LifecycleStage.DELETED)
    click.echo(f"run {found.run_id} deleted; bring it back with 'ratoon runs restore {found.run_id[:8]}'")


@runs.command("restore")
@click.argument("run")
@click.pass_context
def restore_run(ctx: click.Context, run: str) -> None:
    """Bring RUN back, which was deleted."""
    client = client_of(ctx)
    found = find_run(client, run, ViewType.DELETED_ONLY)
    client.tracking.move_run(found.run_id, LifecycleStage.ACTIVE)
    click.echo(f"run {found.run_id} restored")


def _list(client: Client, experiment: str | None, query: Query, as_json: bool) -> None:
    ids = [] if experiment is None else [find_experiment(client, experiment).experiment_id]
    found = client.tracking.search_runs(ids, query).items
    if as_json:
        print_json(found)
        return
    every = client.tracking.search_experiments(Query(view=ViewType.ALL, limit=_MOST_EXPERIMENTS)).items
    names = {each.experiment_id: each.name for each in every}
    print_table(
        ["run", "name", "experiment", "status", "started (UTC)", "took>", "metrics"],
        [_row(run, names.get(run.experiment_id, run.experiment_id)) for run in found],
        empty=_NO_RUNS if query.filter == "" and query.view == ViewType.ACTIVE_ONLY else "no such runs",
    )


def _took(run: Run) -> str:
    return format_duration(run.start_time, run.end_time)


def _row(run: Run, experiment: str) -> list[object]:
    # Times of nodes and system metrics live under a prefix: they would crowd out what the run is about.
    metrics = [f"{key}={each.value:.4g}" for key, each in run.metrics.items() if "/" not in key]
    shown = ", ".join(metrics[:4]) + (" …" if len(metrics) > 4 else "")
    return [run.run_id[:8], run.run_name, experiment, run.status, format_time(run.start_time), _took(run), shown]
