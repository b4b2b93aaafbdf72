"""``ratoon serve``: answer predictions over HTTP until interrupted."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of
from ratoon.cli.trusting import trust_option
from ratoon.models.trust import Trust


@click.command
@click.argument("model_uri")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@trust_option
@click.pass_context
def serve(ctx: click.Context, model_uri: str, host: str, port: int, trust: Trust) -> None:
    """Serve MODEL_URI, models:/iris@champion for example, at /invocations."""
    from ratoon.serving.server import serve as serve_model

    serve_model(model_uri, client=client_of(ctx), host=host, port=port, trust=trust)
