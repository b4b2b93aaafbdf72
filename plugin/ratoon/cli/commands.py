"""The builtin commands, by the name of the module that holds each: none is imported before it is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ratoon.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

COMMANDS = {
    "compare": "ratoon.cli.compare:compare",
    "deploy": "ratoon.cli.deploy:deploy",
    "deployments": "ratoon.cli.deploy:deployments",
    "experiments": "ratoon.cli.experiments:experiments",
    "models": "ratoon.cli.models:models",
    "plugins": "ratoon.cli.plugins:plugins",
    "promote": "ratoon.cli.promote:promote",
    "rollback": "ratoon.cli.rollback:rollback",
    "runs": "ratoon.cli.runs:runs",
    "serve": "ratoon.cli.serve:serve",
    "undeploy": "ratoon.cli.deploy:undeploy",
}


@hookimpl
def register_commands(register: Callable[[str, click.Command | str], None]) -> None:
    """Provide the builtin commands."""
    for name, home in COMMANDS.items():
        register(name, home)
