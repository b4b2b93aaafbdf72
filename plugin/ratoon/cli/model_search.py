"""``ratoon models search`` and ``versions``: registered models and their versions, by MLflow's filter language."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of, format_time, json_option, print_json, print_table
from ratoon.entities import ModelVersion, Query, RegisteredModel

_filter = click.option("--filter", "filter_", default="", help="Such as: name LIKE 'wine%' AND tags.owner = 'ada'.")
_order = click.option("--order-by", multiple=True, metavar="TERM", help="Such as: last_updated_timestamp DESC.")
_limit = click.option("--limit", default=100, show_default=True, help="How many, at most.")


@click.command
@_filter
@_order
@_limit
@json_option
@click.pass_context
def search(ctx: click.Context, filter_: str, order_by: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search registered models by name, tags and times."""
    query = Query(filter=filter_, order_by=order_by, limit=limit)
    found = client_of(ctx).registry.search_registered_models(query).items
    if as_json:
        print_json(found)
        return
    print_table(
        ["model", "newest>", "aliases", "tags", "changed (UTC)", "description"],
        [_model_row(each) for each in found],
        empty="no such models; list all of them with 'ratoon models'",
    )


@click.command
@_filter
@_order
@_limit
@json_option
@click.pass_context
def versions(ctx: click.Context, filter_: str, order_by: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Search versions of all models by name, version_number, run_id, tags and times."""
    found = client_of(ctx).registry.search_versions(Query(filter=filter_, order_by=order_by, limit=limit)).items
    if as_json:
        print_json(found)
        return
    print_table(
        ["model", "version>", "aliases", "run", "made (UTC)", "by", "tags"],
        [_version_row(each) for each in found],
        empty="no such versions; list the models with 'ratoon models'",
    )


def _model_row(model: RegisteredModel) -> list[object]:
    aliases = ", ".join(f"{alias} → {version}" for alias, version in model.aliases.items())
    changed = format_time(model.last_updated_timestamp)
    return [model.name, model.latest_version, aliases, _tags(model), changed, model.description]


def _version_row(version: ModelVersion) -> list[object]:
    run, made = version.run_id and version.run_id[:8], format_time(version.creation_timestamp)
    return [version.name, version.version, ", ".join(version.aliases), run, made, version.user_id, _tags(version)]


def _tags(thing: RegisteredModel | ModelVersion) -> str:
    return ", ".join(f"{key}={value}" for key, value in thing.tags.items() if not key.startswith("ratoon."))
