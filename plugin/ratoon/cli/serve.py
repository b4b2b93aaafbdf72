"""``ratoon serve``: answer predictions over HTTP until interrupted."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of


@click.command
@click.argument("model_uri")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option(
    "--trust",
    type=click.Choice(["data", "code"]),
    default="data",
    show_default=True,
    help="Whether loading the model may run code that is stored in it.",
)
@click.pass_context
def serve(ctx: click.Context, model_uri: str, host: str, port: int, trust: str) -> None:
    """Serve MODEL_URI, models:/iris@champion for example, at /invocations."""
    from ratoon.serving.server import serve as serve_model

    allowed = None if trust == "data" else trust
    serve_model(model_uri, client=client_of(ctx), host=host, port=port, trust=allowed)
