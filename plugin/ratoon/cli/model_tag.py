"""``ratoon models tag``: what a version carries, for people and for the gates."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of, json_option, print_json
from ratoon.errors import InvalidInput


@click.command
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.argument("tags", nargs=-1, metavar="KEY=VALUE...")
@click.option("--remove", multiple=True, metavar="KEY", help="Take a tag away.")
@json_option
@click.pass_context
def tag(
    ctx: click.Context, name: str, version: int, tags: tuple[str, ...], remove: tuple[str, ...], as_json: bool
) -> None:
    """Set tags of VERSION of the model NAME."""
    if not tags and not remove:
        raise InvalidInput(f"version {version} of model {name!r} was given no tag; write for example owner=ada")
    changes: dict[str, str | None] = {key: None for key in remove} | dict(map(_pair, tags))
    changed = client_of(ctx).registry.update_version(name, version, tags=changes)
    if as_json:
        print_json(changed)
        return
    listed = ", ".join(f"{key}={value}" for key, value in changed.tags.items()) or "no tags"
    click.echo(f"version {version} of model {name!r} has {listed}")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InvalidInput(f"tag {text!r} is not KEY=VALUE; write for example owner=ada")
    return key, value
