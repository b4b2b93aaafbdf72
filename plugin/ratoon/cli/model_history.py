"""``ratoon models history`` and ``verdicts``: who held which alias, and what the gates thought of a version."""

from __future__ import annotations

import click

from ratoon.cli.output import client_of, format_time, json_option, print_json, print_table
from ratoon.entities import AliasMove, Verdict
from ratoon.registry.history import history_of, verdicts_of


@click.command
@click.argument("name")
@click.option("--alias", help="Only this alias.")
@json_option
@click.pass_context
def history(ctx: click.Context, name: str, alias: str | None, as_json: bool) -> None:
    """Show every step of the aliases of the model NAME: who, when, from, to, why, on which verdicts."""
    moves = history_of(client_of(ctx), name, alias)
    if as_json:
        print_json(moves)
        return
    print_table(
        ["when (UTC)", "alias", "from>", "to>", "how", "by", "why", "verdicts"],
        [_move_row(move) for move in moves],
        empty="no alias was ever given",
    )


@click.command
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@json_option
@click.pass_context
def verdicts(ctx: click.Context, name: str, version: int, as_json: bool) -> None:
    """Show what the gates thought of VERSION of the model NAME, whenever they were asked."""
    moves = verdicts_of(client_of(ctx), name, version)
    if as_json:
        print_json(moves)
        return
    print_table(
        ["when (UTC)", "alias", "how", "passed", "gate", "reason"],
        [_verdict_row(move, verdict) for move in moves for verdict in move.verdicts],
        empty=f"no gate ever judged version {version}; ask them with 'ratoon promote {name} {version} --dry-run'",
    )


def _move_row(move: AliasMove) -> list[object]:
    against = [f"{each.gate}: no, {each.reason}" for each in move.verdicts if not each.passed]
    count = len(move.verdicts)
    said = "; ".join(against) or (f"{count} agreed" if count else None)
    when = format_time(move.timestamp)
    return [when, move.alias, move.from_version, move.to_version, move.kind, move.moved_by, move.reason, said]


def _verdict_row(move: AliasMove, verdict: Verdict) -> list[object]:
    passed = "yes" if verdict.passed else "NO"
    return [format_time(move.timestamp), move.alias, move.kind, passed, verdict.gate, verdict.reason]
