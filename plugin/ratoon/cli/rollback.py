"""``ratoon rollback``: give an alias back to whoever held it before, or to a version that is named."""

from __future__ import annotations

from pathlib import Path

import click

from ratoon.cli.output import client_of, json_option, print_json
from ratoon.cli.verdicts import given_policy, policy_option, print_verdicts
from ratoon.errors import PromotionRefused
from ratoon.registry.promotion import CHAMPION
from ratoon.registry.promotion import rollback as roll_back


@click.command
@click.argument("name")
@click.option("--alias", default=CHAMPION, show_default=True, help="The alias to give back.")
@click.option("--to", type=click.IntRange(min=1), metavar="VERSION", help="The version; else who held it before.")
@policy_option
@click.option("--reason", default="", help="Why, for the history.")
@click.option("--force", is_flag=True, help="Ask no gate; the history says so.")
@json_option
@click.pass_context
def rollback(
    ctx: click.Context,
    /,
    name: str,
    alias: str,
    to: int | None,
    policy_file: Path | None,
    reason: str,
    force: bool,
    as_json: bool,
) -> None:
    """Give an alias of the model NAME back to the version that held it before."""
    policy = given_policy(policy_file)
    try:
        move = roll_back(client_of(ctx), name, alias=alias, to=to, policy=policy, reason=reason, force=force)
    except PromotionRefused as refused:
        if as_json:
            print_json({"passed": False, "verdicts": refused.verdicts, "move": None})
        else:
            print_verdicts(refused.verdicts)
        raise
    if as_json:
        print_json(move)
        return
    print_verdicts(move.verdicts)
    before = "nobody" if move.from_version is None else f"version {move.from_version}"
    click.echo(f"version {move.to_version} of model {name!r} is {alias!r} again, instead of {before}")
