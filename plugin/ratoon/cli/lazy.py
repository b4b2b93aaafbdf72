"""A group of commands that are imported on use, from the modules that hold them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


def import_command(home: str) -> click.Command:
    """The command behind ``"module:attribute"``."""
    module, _, attribute = home.partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    return command


class LazyGroup(click.Group):
    """A group of which some commands are only names of modules until one of them is called.

    Args:
        homes: ``"module:attribute"`` by the name of the command.
        options: What :class:`click.Group` takes.
    """

    def __init__(self, *, homes: Mapping[str, str], **options: Any) -> None:
        super().__init__(**options)
        self._homes = dict(homes)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted({*super().list_commands(ctx), *self._homes})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; None if there is none."""
        home = self._homes.get(cmd_name)
        return super().get_command(ctx, cmd_name) if home is None else import_command(home)
