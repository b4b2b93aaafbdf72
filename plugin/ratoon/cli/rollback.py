"""``ratoon rollback``: give an alias back to whoever held it before."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of, json_option, print_json
from ratoon.registry.promotion import CHAMPION
from ratoon.registry.promotion import rollback as roll_back


@click.command
@click.argument("name")
@click.option("--alias", default=CHAMPION, show_default=True, help="The alias to give back.")
@click.option("--reason", default="", help="Why, for the history.")
@json_option
@click.pass_context
def rollback(ctx: click.Context, name: str, alias: str, reason: str, as_json: bool) -> None:
    """Give an alias of the model NAME back to the version that held it before."""
    move = roll_back(client_of(ctx), name, alias=alias, reason=reason)
    if as_json:
        print_json(move)
    else:
        said = f"version {move.to_version} of model {name!r} is {alias!r} again, instead of version {move.from_version}"
        click.echo(said)
