"""``ratoon experiments``: which experiments there are, their names, and the bin."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of, format_time, json_option, print_json, print_table
from ratoon.cli.selecting import find_experiment
from ratoon.entities import LifecycleStage, Query, ViewType


@click.group(invoke_without_command=True)
@click.option("--deleted", is_flag=True, help="Deleted experiments instead of active ones.")
@click.option("--limit", default=100, show_default=True, help="How many, at most.")
@json_option
@click.pass_context
def experiments(ctx: click.Context, deleted: bool, limit: int, as_json: bool) -> None:
    """List the experiments, newest first; or rename, delete or restore one of them."""
    if ctx.invoked_subcommand is not None:
        return
    view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
    found = client_of(ctx).tracking.search_experiments(Query(view=view, limit=limit)).items
    if as_json:
        print_json(found)
        return
    rows = [(each.experiment_id, each.name, format_time(each.creation_time)) for each in found]
    print_table(["id>", "name", "created (UTC)"], rows, empty="no experiments")


@experiments.command("rename")
@click.argument("name")
@click.argument("new_name")
@click.pass_context
def rename_experiment(ctx: click.Context, name: str, new_name: str) -> None:
    """Give the experiment NAME the name NEW_NAME."""
    client = client_of(ctx)
    client.tracking.rename_experiment(find_experiment(client, name).experiment_id, new_name)
    click.echo(f"experiment {name!r} renamed to {new_name!r}")


@experiments.command("delete")
@click.argument("name")
@click.pass_context
def delete_experiment(ctx: click.Context, name: str) -> None:
    """Delete the experiment NAME with its runs: they are kept until 'ratoon gc' removes them."""
    client = client_of(ctx)
    client.tracking.move_experiment(find_experiment(client, name).experiment_id, LifecycleStage.DELETED)
    click.echo(f"experiment {name!r} deleted with its runs; bring it back with 'ratoon experiments restore {name}'")


@experiments.command("restore")
@click.argument("name")
@click.pass_context
def restore_experiment(ctx: click.Context, name: str) -> None:
    """Bring back the experiment NAME and the runs that were deleted with it."""
    client = client_of(ctx)
    client.tracking.move_experiment(find_experiment(client, name).experiment_id, LifecycleStage.ACTIVE)
    click.echo(f"experiment {name!r} restored with its runs")
