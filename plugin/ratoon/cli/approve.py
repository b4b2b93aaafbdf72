"""``ratoon approve``: a person says that a version may take an alias."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of, json_option, print_json
from ratoon.registry.approvals import approve as approve_version
from ratoon.registry.approvals import withdraw as withdraw_approval
from ratoon.registry.promotion import CHAMPION


@click.command
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--alias", default=CHAMPION, show_default=True, help="What the version may take over.")
@click.option("--reason", default="", help="Why, for the history.")
@click.option("--withdraw", is_flag=True, help="Take your approval back.")
@json_option
@click.pass_context
def approve(
    ctx: click.Context, /, name: str, version: int, alias: str, reason: str, withdraw: bool, as_json: bool
) -> None:
    """Approve, as the user of the settings, that VERSION of the model NAME takes an alias."""
    client = client_of(ctx)
    if withdraw:
        given = withdraw_approval(client, name, version, alias=alias)
    else:
        given = approve_version(client, name, version, alias=alias, reason=reason)
    if as_json:
        print_json(given)
        return
    done = "no longer approves" if withdraw else "approves"
    click.echo(f"{given.by} {done} that version {version} of model {name!r} takes {alias!r}")
