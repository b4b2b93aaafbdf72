"""The builtin commands, by the name of the module that holds each: none is imported before it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ratoon.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

COMMANDS = {
    "approve": "ratoon.cli.approve:approve",
    "compare": "ratoon.cli.compare:compare",
    "db": "ratoon.cli.db:db",
    "deploy": "ratoon.cli.deploy:deploy",
    "deployments": "ratoon.cli.deploy:deployments",
    "evaluate": "ratoon.cli.evaluate:evaluate",
    "experiments": "ratoon.cli.experiments:experiments",
    "gc": "ratoon.cli.gc:gc",
    "lineage": "ratoon.cli.lineage:show_lineage",
    "models": "ratoon.cli.models:models",
    "plugins": "ratoon.cli.plugins:plugins",
    "promote": "ratoon.cli.promote:promote",
    "rollback": "ratoon.cli.rollback:rollback",
    "runs": "ratoon.cli.runs:runs",
    "serve": "ratoon.cli.serve:serve",
    "server": "ratoon.cli.server:server",
    "sync": "ratoon.cli.sync:sync",
    "undeploy": "ratoon.cli.deploy:undeploy",
}


@hookimpl
def register_commands(register: Callable[[str, click.Command | str], None]) -> None:
    """Provide the builtin commands."""
    for name, home in COMMANDS.items():
        register(name, home)
