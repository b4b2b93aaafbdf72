"""``ratoon gc``: remove for good what was deleted."""

from __future__ import annotations

import re

import click

from ratoon.cli.output import client_of, json_option, print_json
from ratoon.errors import InvalidInput
from ratoon.tracking.garbage import Garbage, collect_garbage

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = re.compile(r"(\d+)([smhdw])")


@click.command
@click.option("--older-than", default="30d", show_default=True, help="How long ago it was deleted: 12h, 30d, 1d12h.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
@click.pass_context
def gc(ctx: click.Context, older_than: str, dry_run: bool, as_json: bool) -> None:
    """Remove deleted experiments, runs and models for good, and files that nothing leads to."""
    garbage = collect_garbage(client_of(ctx), older_than=seconds_of(older_than), dry_run=dry_run)
    if as_json:
        print_json(garbage)
    else:
        click.echo(_said(garbage, dry_run))


def seconds_of(duration: str) -> int:
    """The seconds of a duration such as ``1d12h``."""
    parts = _PART.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise InvalidInput(f"duration {duration!r} cannot be read; write for example 12h, 30d or 1d12h")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def _said(garbage: Garbage, dry_run: bool) -> str:
    return (
        f"{'would remove' if dry_run else 'removed'} {garbage.experiments} experiments, {garbage.runs} runs,"
        f" {garbage.models} models and {garbage.blobs} unused files ({garbage.freed / 1e6:.1f} MB)"
    )
