"""``kedro ratoon …``: the commands are imported when they are called, not when Kedro lists them.

Kedro has imported click and its own tools before it loads this module, and nothing else is imported here.
"""

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
        "compare": "ratoon_kedro.commands.compare.compare",
        "init": "ratoon_kedro.commands.init.init",
        "model": "ratoon_kedro.commands.model.model",
        "replay": "ratoon_kedro.commands.replay.replay",
        "runs": "ratoon_kedro.commands.runs.runs",
        "sweep": "ratoon_kedro.commands.sweep.sweep",
        "ui": "ratoon_kedro.commands.ui.ui",
    },
)
def ratoon() -> None:
    """Track this project's runs with ratoon."""
