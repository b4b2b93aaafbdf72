"""``ratoon deploy``, ``deployments`` and ``undeploy``: models in service."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of, format_time, json_option, print_json, print_table
from ratoon.errors import InvalidInput


@click.command
@click.argument("model_uri")
@click.option("--to", "target", default="local", show_default=True, help="The target.")
@click.option("--name", help="Name of the deployment; the model's if not given.")
@click.option("--option", "-o", "options", multiple=True, metavar="KEY=VALUE", help="What else the target takes.")
@json_option
@click.pass_context
def deploy(
    ctx: click.Context, model_uri: str, target: str, name: str | None, options: tuple[str, ...], as_json: bool
) -> None:
    """Bring MODEL_URI into service; a deployment of the same name is replaced."""
    from ratoon.serving.deployments import deploy as deploy_model

    made = deploy_model(client_of(ctx), model_uri, name=name, target=target, options=dict(map(_pair, options)))
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made.model_uri} is in service as {made.name!r} at {made.endpoint}/invocations")


@click.command
@json_option
@click.pass_context
def deployments(ctx: click.Context, as_json: bool) -> None:
    """List what is in service, with its health as it is now."""
    from ratoon.serving.deployments import list_deployments

    found = list_deployments(client_of(ctx))
    if as_json:
        print_json(found)
        return
    print_table(
        ["deployment", "target", "model", "version>", "endpoint", "healthy", "since (UTC)"],
        [
            (
                each.name,
                each.target,
                each.model_uri,
                each.model_version,
                each.endpoint,
                each.healthy,
                format_time(each.created_at),
            )
            for each in found
        ],
        empty="nothing is in service; bring a model there with 'ratoon deploy models:/NAME@champion'",
    )


@click.command
@click.argument("name")
@json_option
@click.pass_context
def undeploy(ctx: click.Context, name: str, as_json: bool) -> None:
    """Take the deployment NAME out of service."""
    from ratoon.serving.deployments import undeploy as remove

    gone = remove(client_of(ctx), name)
    if as_json:
        print_json(gone)
    else:
        click.echo(f"deployment {gone.name!r} is out of service")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise InvalidInput(f"option {text!r} is not KEY=VALUE; write for example -o port=8081")
    return key, value
