"""``kedro ratoon runs``: what ``ratoon runs`` shows, for this project."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

    from ratoon_kedro.config import Config

PLACES = ("tracking_uri", "registry_uri", "artifact_root")


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.option("--env", "-e", default=None, help="The environment whose ratoon.yml is read.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def runs(metadata: ProjectMetadata, env: str | None, arguments: tuple[str, ...]) -> None:
    """Look at the runs of this project: everything that 'ratoon runs' takes."""
    from ratoon.errors import RatoonError

    try:
        config = _config(metadata, env)
    except RatoonError as error:
        raise click.ClickException(str(error)) from error
    places = {f"RATOON_{key.upper()}": getattr(config, key) for key in PLACES}
    environment = {name: place for name, place in places.items() if place} | os.environ
    command = [sys.executable, "-m", "ratoon", "runs", *arguments]
    sys.exit(subprocess.run(command, cwd=metadata.project_path, env=environment).returncode)


def _config(metadata: ProjectMetadata, env: str | None) -> Config:
    from kedro.framework.project import settings

    from ratoon_kedro.config import announce, load_config

    loader = settings.CONFIG_LOADER_CLASS(
        conf_source=str(metadata.project_path / settings.CONF_SOURCE),
        env=env or os.environ.get("KEDRO_ENV"),
        **settings.CONFIG_LOADER_ARGS,
    )
    announce(loader)
    return load_config(loader)
