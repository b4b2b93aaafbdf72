"""``ratoon server``: answer MLflow's REST API over HTTP until interrupted."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of


@click.command
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="0 takes a free one.")
@click.option("--allow-remote", is_flag=True, help="Listen where other machines reach it; there are no accounts.")
@click.option("--allowed-host", multiple=True, metavar="NAME", help="A name that requests may come by; * for any.")
@click.pass_context
def server(ctx: click.Context, host: str, port: int, allow_remote: bool, allowed_host: tuple[str, ...]) -> None:
    """Keep runs and models for other processes; MLflow's own client can use it."""
    from ratoon.server.run import run_server

    run_server(client_of(ctx), host=host, port=port, allow_remote=allow_remote, allowed_hosts=allowed_host)
