"""``kedro ratoon runs``: what ``ratoon runs`` shows, for this project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ratoon_kedro.commands.core_cli import PASS_ON, env_option, forward

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


@click.command(context_settings=PASS_ON)
@env_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def runs(metadata: ProjectMetadata, env: str | None, arguments: tuple[str, ...]) -> None:
    """Look at the runs of this project: everything that 'ratoon runs' takes."""
    forward(metadata, env, ["runs", *arguments])
