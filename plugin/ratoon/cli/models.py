"""``ratoon models``: what is registered, and registering more.

Commands of other modules are listed in ``HOMES`` and imported on use.
"""

from __future__ import annotations

import click

from ratoon.cli.lazy import LazyGroup
from ratoon.cli.output import client_of, format_time, json_option, print_json, print_table
from ratoon.cli.selecting import find_run
from ratoon.entities import AliasMove, ModelVersion, Query, RegisteredModel
from ratoon.stores.grammar import quoted
from ratoon.tracking.models import register_model

HOMES = {
    "check": "ratoon.cli.model_check:check",
    "copy": "ratoon.cli.model_copy:copy",
    "history": "ratoon.cli.model_history:history",
    "inspect": "ratoon.cli.model_inspect:inspect",
    "search": "ratoon.cli.model_search:search",
    "tag": "ratoon.cli.model_tag:tag",
    "verdicts": "ratoon.cli.model_history:verdicts",
    "versions": "ratoon.cli.model_search:versions",
}


@click.group(cls=LazyGroup, homes=HOMES, invoke_without_command=True)
@click.option("--limit", default=100, show_default=True, help="How many, at most.")
@json_option
@click.pass_context
def models(ctx: click.Context, limit: int, as_json: bool) -> None:
    """List the registered models; or show one of them, or register a version."""
    if ctx.invoked_subcommand is not None:
        return
    found = client_of(ctx).registry.search_registered_models(Query(limit=limit)).items
    if as_json:
        print_json(found)
        return
    print_table(
        ["model", "newest>", "aliases", "changed (UTC)"],
        [(each.name, each.latest_version, _aliases(each), format_time(each.last_updated_timestamp)) for each in found],
        empty="no models yet; register one with 'ratoon models register RUN --name NAME'",
    )


@models.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show_model(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show the versions of the model NAME, and who held its aliases."""
    registry = client_of(ctx).registry
    found = registry.get_registered_model(name)
    versions = registry.search_versions(Query(filter=f"name = {quoted(name)}")).items
    moves = registry.alias_history(name)
    if as_json:
        print_json({"model": found, "versions": versions, "moves": moves})
        return
    print_table(
        ["version>", "aliases", "run", "made (UTC)", "by", "description"],
        [_version_row(each) for each in versions],
        empty="no versions",
        title=found.name,
    )
    print_table(
        ["when (UTC)", "alias", "from>", "to>", "how", "by", "why"],
        [_move_row(move) for move in moves],
        empty="no alias was ever given",
    )


@models.command("register")
@click.argument("run")
@click.option("--name", required=True, help="The registered model; created if there is none.")
@click.option("--model", default="model", show_default=True, help="The name under which the run logged it.")
@click.option("--description", default="", help="What a person should know about this version.")
@json_option
@click.pass_context
def register(ctx: click.Context, run: str, name: str, model: str, description: str, as_json: bool) -> None:
    """Make a version of a registered model from the model that RUN logged."""
    client = client_of(ctx)
    uri = f"runs:/{find_run(client, run).run_id}/{model}"
    version = register_model(uri, name, client=client, description=description)
    if as_json:
        print_json(version)
    else:
        click.echo(f"version {version.version} of model {version.name!r} registered from {uri}")


def _aliases(model: RegisteredModel) -> str:
    return ", ".join(f"{alias} → {version}" for alias, version in model.aliases.items())


def _version_row(version: ModelVersion) -> list[object]:
    run = version.run_id[:8] if version.run_id else None
    made = format_time(version.creation_timestamp)
    return [version.version, ", ".join(version.aliases), run, made, version.user_id, version.description]


def _move_row(move: AliasMove) -> list[object]:
    why = "; ".join(filter(None, (move.reason, *(verdict.reason for verdict in move.verdicts))))
    change = (move.from_version, move.to_version)
    return [format_time(move.timestamp), move.alias, *change, move.kind, move.moved_by, why]
