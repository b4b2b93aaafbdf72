"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec

from ratoon.tracking.client import Client

F = TypeVar("F", bound=Callable[..., Any])

_WIDTH_OF_A_PIPE = 160

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def client_of(ctx: click.Context) -> Client:
    """The client for the options that were given before the command."""
    return Client(**(ctx.find_root().obj or {}))


def print_json(value: object) -> None:
    """Print a value as JSON; what is not a finite number becomes null."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, title: str = "") -> None:
    """Print rows under headings, or what to do where there are none.

    Columns whose name ends in ``>`` are set to the right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(format_value(cell)) for cell in row] for row in rows]
    if not cells:
        click.echo(empty)
        return
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
    for name in columns:
        right = name.endswith(">")
        table.add_column(name.removesuffix(">"), justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE).print(table)


def format_value(value: object) -> str:
    """A value as a person wants to read it."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def format_time(milliseconds: int | None) -> str:
    """A time in UTC to the second."""
    if milliseconds is None:
        return "-"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def format_duration(start: int, end: int | None) -> str:
    """How long something took; a dash while it goes on."""
    if end is None:
        return "-"
    seconds = max(0, end - start) / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(math.floor(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
