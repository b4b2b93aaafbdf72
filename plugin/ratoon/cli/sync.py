"""``ratoon sync``: send what was logged while the server was away."""

from __future__ import annotations

import sys

import click

from ratoon.cli.output import client_of
from ratoon.errors import InvalidInput
from ratoon.settings import without_password


@click.command()
@click.pass_context
def sync(ctx: click.Context) -> None:
    """Send what runs logged while their server was away; leaves with 1 if the server refused any of it."""
    client = client_of(ctx)
    outbox = client.outbox
    if outbox is None:
        shown = without_password(client.settings.tracking_uri)
        raise InvalidInput(f"tracking URI '{shown}' names no server; give one with --tracking-uri http://HOST:PORT")
    if not outbox.spool.pending:
        click.echo(f"nothing waits for {outbox.tracking.address}")
        return
    done = outbox.send()
    if not done.complete:
        click.echo(f"another process is sending to {outbox.tracking.address} already")
        return
    click.echo(f"sent {done.sent} records to {outbox.tracking.address}")
    if done.refused:
        click.echo(f"{done.refused} of them were refused; they are in {outbox.spool.refused}", err=True)
        sys.exit(1)
