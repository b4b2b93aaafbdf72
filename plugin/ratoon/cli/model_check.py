"""``ratoon models check``: what a model requires that this environment does not have."""

from __future__ import annotations

import click

from ratoon.cli.model_folder import folder_of
from ratoon.cli.output import client_of, json_option, print_json, print_table
from ratoon.models.checking import check_requirements


@click.command
@click.argument("uri")
@json_option
@click.pass_context
def check(ctx: click.Context, uri: str, as_json: bool) -> None:
    """Compare what the model URI requires with this environment; leave with 1 if anything differs."""
    with folder_of(client_of(ctx), uri) as folder:
        found = check_requirements(folder)
    differing = [each for each in found if each.differs]
    if as_json:
        print_json({"differs": bool(differing), "requirements": found})
    else:
        rows = [(each.name, each.wanted or "any", each.found, each.state) for each in found]
        print_table(["requirement", "wanted", "installed", "state"], rows, empty="the model requires nothing")
        click.echo(f"{len(differing)} of {len(found)} differ" if differing else "everything is as the model wants it")
    if differing:
        ctx.exit(1)
