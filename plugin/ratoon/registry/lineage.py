"""Where something came from, and what became of it: datasets, runs, models, versions, aliases, deployments.

::

    dataset → run → model → version → alias → deployment
       ↑       │                │         (a version may be deployed without an alias, a model without a version)
       └───────┘ wrote          └→ run    evaluated in

Each step asks the stores about all nodes of one kind at once: how many questions there are depends on the length of the
way and on how many nodes are found, never on how many runs an experiment has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from msgspec import Struct

from ratoon.entities import Deployment
from ratoon.errors import InvalidInput
from ratoon.registry.lineage_nodes import Edge, Found, Kind, Node
from ratoon.registry.lineage_steps import Step, Steps
from ratoon.registry.lineage_subject import find_subject
from ratoon.tracking.client import Client

Direction = Literal["up", "down", "both"]

DIRECTIONS = ("up", "down", "both")
MOST_NODES = 1000


class Lineage(Struct, frozen=True, kw_only=True):
    """A part of the graph of what was made of what. Edges point from what was there first to what came of it.

    Attributes:
        subjects: The ids of the nodes that were asked about: several where a dataset of a name has several digests.
        nodes: Everything that was found, the subjects first.
        edges: How they hang together.
        truncated: Whether there is more than was asked for.
    """

    subjects: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    truncated: bool = False


def lineage(
    client: Client,
    subject: str,
    *,
    direction: Direction = "both",
    deployments: Sequence[Deployment] = (),
    limit: int = MOST_NODES,
) -> Lineage:
    """What something was made of, and what was made of it.

    Args:
        client: The stores to ask.
        subject: A dataset's digest or name, a run's id, a model's URI (``models:/wine/3``, ``models:/wine@champion``,
            ``models:/m-<id>``, ``runs:/<id>/model``) or a deployment's name; ``dataset:``, ``run:`` or ``deployment:``
            before it tells equal names apart.
        direction: ``up`` to what it was made of, ``down`` to what became of it.
        deployments: What is in service; only those who run it know.
        limit: The most nodes to look at.

    Raises:
        NotFound: Nothing is called so.
        InvalidInput: Several things are, or direction or limit make no sense.
    """
    if direction not in DIRECTIONS:
        raise InvalidInput(f"direction {direction!r} is unknown; give one of {', '.join(DIRECTIONS)}")
    if limit < 1:
        raise InvalidInput(f"limit {limit} is not allowed; give 1 or more")
    subjects = find_subject(client, subject, deployments)
    graph = _Graph(limit)
    start = [found for found in subjects if graph.add(found)]
    steps = Steps(client, deployments, limit)
    if direction != "down":
        graph.walk(start, steps.up)
    if direction != "up":
        graph.walk(start, steps.down)
    return graph.lineage(start, truncated=steps.truncated)


class _Graph:
    """Nodes and edges as they are found, each kept once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._nodes: dict[str, Node] = {}
        self._edges: dict[Edge, None] = {}
        self._full = False

    def add(self, found: Found) -> bool:
        """Keep a node, unless there are too many; whether it is kept."""
        if found.node.id not in self._nodes:
            if len(self._nodes) >= self._limit:
                self._full = True
                return False
            self._nodes[found.node.id] = found.node
        return True

    def walk(self, start: Iterable[Found], next_to: Callable[[Kind, Sequence[Found]], Iterable[Step]]) -> None:
        """Follow edges in one direction; each node is left once, so that a circle comes to an end."""
        frontier = list(start)
        seen = {found.node.id for found in frontier}
        while frontier:
            reached: dict[str, Found] = {}
            for kind in Kind:
                here = [found for found in frontier if found.node.kind == kind]
                for edge, found in next_to(kind, here) if here else ():
                    if self.add(found):
                        self._edges[edge] = None
                        reached[found.node.id] = found
            frontier = [found for name, found in reached.items() if name not in seen]
            seen |= reached.keys()

    def lineage(self, start: Iterable[Found], *, truncated: bool) -> Lineage:
        """What was found."""
        return Lineage(
            subjects=tuple(found.node.id for found in start),
            nodes=tuple(self._nodes.values()),
            edges=tuple(self._edges),
            truncated=truncated or self._full,
        )
