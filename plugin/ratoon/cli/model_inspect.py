"""``ratoon models inspect``: what loading a model would run."""

from __future__ import annotations

from pathlib import Path

import click

from ratoon.cli.model_folder import folder_of
from ratoon.cli.output import client_of, json_option, print_json, print_table
from ratoon.models.inspection import InspectedFile, Inspection, inspect_folder


@click.command
@click.argument("uri")
@json_option
@click.pass_context
def inspect(ctx: click.Context, uri: str, as_json: bool) -> None:
    """Show what loading the model URI would run, and the trust that it needs; nothing is loaded."""
    client = client_of(ctx)
    with folder_of(client, uri) as folder:
        found = inspect_folder(Path(folder), manager=client.manager)
    if as_json:
        print_json(found)
        return
    click.echo(_summary(found))
    print_table(
        ["file", "bytes>", "digest", "format", "trust", "why"],
        [_row(file) for file in found.files],
        empty="no files",
    )
    if found.requirements:
        click.echo("requires: " + ", ".join(found.requirements))
    for problem in found.problems:
        click.echo(f"problem: {problem}")


def _summary(found: Inspection) -> str:
    digests = "every file is what was saved" if found.verified else "NOT verified"
    return "\n".join(
        (
            f"saved by:  {found.made_by}",
            f"flavors:   {', '.join(found.flavors)}",
            f"loaded by: {found.loaded_by or 'nothing that is installed'}",
            f"digests:   {digests}",
            f"trust:     {found.level}{_how(found)}",
        )
    )


def _how(found: Inspection) -> str:
    if found.trust is None:
        return " (runs no code)"
    if found.trust == "code":
        return ' (needs trust="code")'
    return f" (needs trust={list(found.trust)})"


def _row(file: InspectedFile) -> list[object]:
    need = file.need
    if need is None:
        return [file.path, None, file.state, None, None, None]
    why = "; ".join(filter(None, (need.reason, ", ".join(need.names))))
    return [file.path, file.size, file.state, need.format, need.level, why]
