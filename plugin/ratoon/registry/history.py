"""What became of aliases: every step, the verdicts that a version got, and who held an alias before."""

from __future__ import annotations

from ratoon.entities import AliasMove, MoveKind
from ratoon.errors import NotFound
from ratoon.tracking.client import Client


def history_of(client: Client, name: str, alias: str | None = None) -> list[AliasMove]:
    """Every step of an alias, or of all aliases of a model, the oldest first.

    Raises:
        NotFound: The model is not registered.
    """
    return client.registry.alias_history(name, alias)


def verdicts_of(client: Client, name: str, version: int) -> list[AliasMove]:
    """The steps for which gates judged a version, refusals too, the oldest first; the verdicts are in each.

    Raises:
        NotFound: There is no such version.
    """
    client.registry.get_version(name, version)
    return [move for move in history_of(client, name) if move.to_version == version and move.verdicts]


def earlier_holder(client: Client, name: str, alias: str) -> int:
    """The version that held an alias before the one that holds it now, passing over those that are deleted.

    Raises:
        NotFound: There is none.
    """
    held: list[int | None] = [None]
    for move in client.registry.alias_history(name, alias):
        if move.kind == MoveKind.ROLLBACK and move.to_version in held:
            while held[-1] != move.to_version:
                held.pop()
        elif move.kind != MoveKind.REFUSED and move.to_version != held[-1]:
            held.append(move.to_version)
    for version in reversed(held[:-1]):
        if version is not None and version != held[-1] and _exists(client, name, version):
            return version
    raise NotFound(
        f"alias {alias!r} of model {name!r} has no earlier holder; choose one with 'ratoon promote {name} VERSION'"
    )


def _exists(client: Client, name: str, version: int) -> bool:
    try:
        client.registry.get_version(name, version)
    except NotFound:
        return False
    return True
