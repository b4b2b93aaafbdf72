"""``ratoon experiments``: which experiments there are."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of, format_time, json_option, print_json, print_table


@click.command
@click.option("--limit", default=100, show_default=True, help="How many, at most.")
@json_option
@click.pass_context
def experiments(ctx: click.Context, limit: int, as_json: bool) -> None:
    """List the experiments, newest first."""
    found = client_of(ctx).tracking.list_experiments(limit=limit).items
    if as_json:
        print_json(found)
        return
    rows = [(each.experiment_id, each.name, format_time(each.creation_time)) for each in found]
    print_table(["id>", "name", "created (UTC)"], rows, empty="no experiments")
