"""``ratoon db``: the tables of the database, and bringing them up to this version."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of, json_option, print_json
from ratoon.errors import InvalidInput
from ratoon.settings import without_password


@click.group
def db() -> None:
    """Look at the tables of the database, or bring them up to this version."""


@db.command("upgrade")
@click.pass_context
def upgrade(ctx: click.Context) -> None:
    """Make the tables, or bring those of an older version up to this one; make a backup first."""
    from ratoon.stores.sql.database import SCHEMA, Database

    for uri in _databases(ctx):
        Database(uri, upgrade=True).close()
        click.echo(f"database '{without_password(uri)}' has the schema {SCHEMA}")


@db.command("version")
@json_option
@click.pass_context
def version(ctx: click.Context, as_json: bool) -> None:
    """Show which schema the tables have, and which one this version needs."""
    from ratoon.stores.sql.database import SCHEMA, schema_of

    found = {without_password(uri): schema_of(uri) for uri in _databases(ctx)}
    if as_json:
        print_json({"needed": SCHEMA, "found": found})
        return
    for shown, schema in found.items():
        click.echo(f"database '{shown}' has {f'the schema {schema}' if schema else 'no tables'}, needed is {SCHEMA}")


def _databases(ctx: click.Context) -> list[str]:
    from ratoon.stores.sql.plugin import SCHEMES

    settings = client_of(ctx).settings
    found = {uri: None for uri in (settings.tracking_uri, settings.registry_uri) if uri.startswith(SCHEMES)}
    if not found:
        shown = without_password(settings.tracking_uri)
        raise InvalidInput(f"tracking URI '{shown}' is no database; run this where the database of its server is")
    return list(found)
