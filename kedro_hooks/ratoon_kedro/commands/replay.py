"""``kedro ratoon replay RUN``: run a tracked run's command again, at its commit, and compare what comes out."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ratoon_kedro.commands.core_cli import env_option, one_line_errors, project_store

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


@click.command()
@click.argument("run")
@env_option
@click.option("--params", multiple=True, metavar="KEY=VALUE,…", help="Other values of parameters, or secret ones.")
@click.option("--here", is_flag=True, help="Run in the working tree as it is, instead of a clean clone.")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), help="Make the clone here, and leave it; else it goes."
)
@click.option(
    "--data",
    type=click.Choice(["copy", "link", "none"]),
    default="copy",
    show_default=True,
    help="How the clone gets the folder 'data': with 'link' it writes into the project's own.",
)
@click.option("--local-conf/--no-local-conf", default=True, show_default=True, help="Use conf/local and credentials.")
@click.option(
    "--tolerance", type=click.FloatRange(0), default=0.0, show_default=True, help="By how much metrics may differ."
)
@click.option("--dry-run", is_flag=True, help="Print what would be done.")
@click.pass_obj
def replay(
    metadata: ProjectMetadata,
    run: str,
    env: str | None,
    params: tuple[str, ...],
    here: bool,
    into: Path | None,
    data: str,
    local_conf: bool,
    tolerance: float,
    dry_run: bool,
) -> None:
    """Repeat RUN (an id, the beginning of one, a name, or 'latest') and compare the metrics.

    The code is that of the run's commit, with the changes of tracked files that were not committed; files that git did
    not track, credentials and conf/local are not in it. Exit code 0: every metric is the same; 1: it is not, or the
    run failed.
    """
    if math.isnan(tolerance):
        raise click.BadParameter("it is no number", param_hint="--tolerance")
    if here and into:
        raise click.UsageError("--here runs in the working tree and --into in a clone; give one of them")
    with one_line_errors():
        from ratoon_kedro.replaying.replay import Replay, Wishes

        wishes = Wishes(here=here, into=into and into.absolute(), data=data, local_conf=local_conf, tolerance=tolerance)
        found = Replay(project_store(metadata, env), run, params, wishes)
        if dry_run:
            for command in found.commands():
                click.echo(shlex.join(command))
            return
        sys.exit(found.run())
