"""``kedro ratoon …``: the commands are imported when they are called, not when Kedro lists them."""

from __future__ import annotations

import click
from kedro.framework.cli.utils import LazyGroup


@click.group(name="ratoon")
def commands() -> None:
    """Commands of ratoon."""


@commands.group(
    name="ratoon",
    cls=LazyGroup,
    lazy_subcommands={
        "init": "ratoon_kedro.commands.init.init",
        "runs": "ratoon_kedro.commands.runs.runs",
    },
)
def ratoon() -> None:
    """Track this project's runs with ratoon."""
