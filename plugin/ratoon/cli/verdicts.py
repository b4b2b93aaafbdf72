"""What commands that ask gates have in common: the policy they are given, and verdicts as a table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from ratoon.cli.output import print_table
from ratoon.entities import Verdict
from ratoon.registry.policy import Policy, load_policy

policy_option = click.option(
    "--policy",
    "policy_file",
    type=click.Path(path_type=Path),
    help="The file that says which gates judge; else the one of the setting, else promotion.yml.",
)


def given_policy(file: Path | None) -> Policy | None:
    """The policy that the option names; None where the project's own is meant."""
    return None if file is None else load_policy(file)


def print_verdicts(verdicts: Iterable[Verdict]) -> None:
    """Print verdicts as a table; nothing if there is none."""
    rows = [("yes" if each.passed else "NO", each.gate, each.reason) for each in verdicts]
    if rows:
        print_table(["passed", "gate", "reason"], rows, empty="")
