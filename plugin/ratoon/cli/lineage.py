"""``ratoon lineage``: what something was made of, and what became of it."""

from __future__ import annotations

import sys
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from ratoon.cli.output import client_of, json_option, print_json
from ratoon.registry.lineage import MOST_NODES, Direction, Lineage, lineage
from ratoon.registry.lineage_nodes import Node

if TYPE_CHECKING:
    from rich.tree import Tree

# The relations, read against the arrow.
_UP = {
    "read by": "read",
    "wrote": "written by",
    "made": "made by",
    "registered as": "registered from",
    "holds": "held by",
    "evaluated in": "evaluated",
    "used by": "used",
    "in service as": "serves",
}
_WIDTH_OF_A_PIPE = 160

Neighbours = Mapping[str, Sequence[tuple[str, str]]]


@click.command("lineage")
@click.argument("subject")
@click.option("--up", is_flag=True, help="Only what it was made of.")
@click.option("--down", is_flag=True, help="Only what became of it.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=MOST_NODES, show_default=True, help="How many nodes, at most."
)
@json_option
@click.pass_context
def show_lineage(ctx: click.Context, subject: str, up: bool, down: bool, limit: int, as_json: bool) -> None:
    """Show what SUBJECT was made of and what became of it.

    SUBJECT is a dataset's digest or name, a run's id, a model's URI (models:/wine/3, models:/wine@champion,
    models:/m-…, runs:/ID/model) or a deployment's name.
    """
    from ratoon.serving.deployments import list_deployments

    client = client_of(ctx)
    direction: Direction = "both" if up == down else "up" if up else "down"
    found = lineage(client, subject, direction=direction, deployments=list_deployments(client), limit=limit)
    if as_json:
        print_json(found)
        return
    _print(found, direction)
    if found.truncated:
        click.echo(f"there is more than {limit} nodes; see more of it with --limit {10 * limit}")


def _print(found: Lineage, direction: Direction) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE, highlight=False)
    nodes = {node.id: node for node in found.nodes}
    above: dict[str, list[tuple[str, str]]] = defaultdict(list)
    below: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for edge in found.edges:
        above[edge.target].append((_UP.get(edge.relation, edge.relation), edge.source))
        below[edge.source].append((edge.relation, edge.target))
    for subject in found.subjects:
        for title, neighbours, hidden in (("made of", above, "down"), ("became", below, "up")):
            if direction != hidden:
                console.print(_tree(title, subject, nodes, neighbours))


def _tree(title: str, subject: str, nodes: Mapping[str, Node], neighbours: Neighbours) -> Tree:
    """A tree in which each node has its branches once, nearest to the root: a circle ends where it began."""
    from rich.text import Text
    from rich.tree import Tree

    root = Tree(Text.assemble(_label(nodes[subject]), (f"  {title}", "dim"), "" if neighbours.get(subject) else ": -"))
    shown = {subject}
    waiting = deque([(root, subject)])
    while waiting:
        branch, name = waiting.popleft()
        for relation, other in neighbours.get(name, ()):
            again = " (shown elsewhere)" if other in shown and neighbours.get(other) else ""
            leaf = branch.add(Text.assemble((f"{relation} ", "dim"), _label(nodes[other]), (again, "dim")))
            if other not in shown:
                shown.add(other)
                waiting.append((leaf, other))
    return root


def _label(node: Node) -> str:
    return f"{node.kind} {node.label}" if node.kind != "version" else node.label
