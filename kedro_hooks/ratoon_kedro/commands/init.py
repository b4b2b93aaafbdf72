"""``kedro ratoon init``: write a commented ``ratoon.yml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

TEMPLATE = Path(__file__).with_name("ratoon.yml")


@click.command()
@click.option("--env", "-e", default="base", show_default=True, help="The environment that the file is written for.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.pass_obj
def init(metadata: ProjectMetadata, env: str, force: bool) -> None:
    """Write conf/<env>/ratoon.yml with every setting and its default."""
    from kedro.framework.project import settings

    folder = Path(metadata.project_path, settings.CONF_SOURCE, env)
    if not folder.is_dir():
        raise click.ClickException(f"environment '{env}' has no folder {folder}; make it, or choose another --env")
    target = folder / "ratoon.yml"
    if target.exists() and not force:
        raise click.ClickException(f"file '{target}' is there already; give --force to overwrite it")
    target.write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    click.echo(f"wrote {target}")
