"""``ratoon models copy``: a version goes into another registry."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of, json_option, print_json
from ratoon.registry.copying import copy_version, settings_of_target
from ratoon.settings import without_password
from ratoon.tracking.client import Client


@click.command
@click.argument("model_uri")
@click.option("--to", "target", required=True, metavar="URI", help="The tracking URI of the other place.")
@click.option("--to-registry", metavar="URI", help="Where models are registered there, if that is another URI.")
@click.option("--to-artifacts", metavar="URI", help="Where files are kept there, if that does not follow from --to.")
@click.option("--name", help="The name there; the same if not given.")
@click.option("--alias", help="An alias to give to it there, without asking any gate.")
@json_option
@click.pass_context
def copy(
    ctx: click.Context,
    /,
    model_uri: str,
    target: str,
    to_registry: str | None,
    to_artifacts: str | None,
    name: str | None,
    alias: str | None,
    as_json: bool,
) -> None:
    """Copy the version MODEL_URI with its files, tags and description; a second time changes nothing."""
    source = client_of(ctx)
    settings = settings_of_target(source.settings, target, registry_uri=to_registry, artifact_root=to_artifacts)
    other = Client(settings, manager=source.manager)
    copied = copy_version(source, model_uri, other, name=name, alias=alias)
    if as_json:
        print_json(copied)
        return
    where, what = without_password(target), f"version {copied.version.version} of model {copied.version.name!r}"
    said = f"is {what} now" if copied.made else f"was copied before as {what}"
    click.echo(f"{model_uri} {said} at {where} (digest {copied.digest[:12]})")
    if copied.alias:
        click.echo(f"{what} is {copied.alias!r} there")
