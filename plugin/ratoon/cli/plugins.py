"""``ratoon plugins``: who answers which hook, in the order in which they are asked."""

from __future__ import annotations

import click
import pluggy

from ratoon import hookspecs
from ratoon.cli.output import json_option, print_json, print_table
from ratoon.manager import BUILTINS, default_manager


@click.command
@json_option
def plugins(as_json: bool) -> None:
    """List the hooks and who answers them, the first to be asked first."""
    manager = default_manager()
    found = {name: _asked(manager, name) for name in hook_names()}
    if as_json:
        print_json(found)
        return
    rows = [(hook, _described(name)) for hook, names in found.items() for name in names or ["-"]]
    print_table(["hook", "plugin"], rows, empty="no hooks")


def hook_names() -> list[str]:
    """Every hook, in the order in which :mod:`ratoon.hookspecs` documents them."""
    return [name for name, each in vars(hookspecs).items() if hasattr(each, f"{hookspecs.PROJECT}_spec")]


def _asked(manager: pluggy.PluginManager, hook: str) -> list[str]:
    implementations = getattr(manager.hook, hook).get_hookimpls()
    return [each.plugin_name for each in reversed(implementations)]


def _described(name: str) -> str:
    return f"{name} (builtin)" if name in BUILTINS else name
