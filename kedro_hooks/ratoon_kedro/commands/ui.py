"""``kedro ratoon ui``: a server for this project's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ratoon_kedro.commands.core_cli import env_option, forward

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


@click.command()
@env_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="0 takes a free one.")
@click.pass_obj
def ui(metadata: ProjectMetadata, env: str | None, host: str, port: int) -> None:
    """Show this project's runs and models at an address, which is printed; Ctrl-C ends it."""
    forward(metadata, env, ["server", "--host", host, "--port", str(port)])
