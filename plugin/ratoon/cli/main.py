"""The ``ratoon`` command: finds the commands that plugins provide, and turns errors into one line and an exit code.

Exit codes: 0 done, 1 it cannot be done, 2 the input must be changed, 130 interrupted.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import click

from ratoon.cli.lazy import import_command
from ratoon.errors import RatoonError
from ratoon.manager import Provided, collect, default_manager
from ratoon.version import __version__


class CommandLine(click.Group):
    """A group whose commands are imported on use."""

    def __init__(self, provided: Mapping[str, Provided], **options: Any) -> None:
        super().__init__(**options)
        self._provided = provided

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(self._provided)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; None if there is none."""
        if cmd_name not in self._provided:
            return None
        command = self._provided[cmd_name].thing
        if isinstance(command, str):
            command = import_command(command)
        found: click.Command = command
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours becomes a line and an exit code."""
        try:
            return super().invoke(ctx)
        except RatoonError as error:
            fail(error)


def main() -> None:
    """Run the command line with the arguments of this process."""
    # Our own news, and only the warnings of everything below.
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("ratoon").setLevel(logging.INFO)
    try:
        provided = collect(default_manager(), "register_commands")
    except RatoonError as error:
        fail(error)
    CommandLine(provided, name="ratoon", params=_options(), help=_HELP, callback=_remember)(prog_name="ratoon")


def fail(error: RatoonError) -> NoReturn:
    """Print an error on one line and leave with its exit code."""
    click.echo(f"ratoon: {' '.join(str(error).split())}", err=True)
    sys.exit(error.exit_code)


_HELP = "Track runs, keep models, promote the better one, serve it."


def _options() -> list[click.Parameter]:
    return [
        click.Option(["--tracking-uri"], metavar="URI", help="Where runs are kept; else RATOON_TRACKING_URI."),
        click.Option(["--registry-uri"], metavar="URI", help="Where models are registered; else RATOON_REGISTRY_URI."),
        click.Option(["--artifact-root"], metavar="URI", help="Where files are kept; else RATOON_ARTIFACT_ROOT."),
        click.Option(
            ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
        ),
    ]


def _version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"ratoon {__version__}")
        ctx.exit()


@click.pass_context
def _remember(ctx: click.Context, /, **given: str | None) -> None:
    ctx.obj = given
