"""Collecting garbage: what was deleted long enough ago goes for good, and so do files that nothing leads to."""

from __future__ import annotations

from msgspec import Struct

from ratoon.artifacts.protocol import Collectable
from ratoon.clock import now_ms
from ratoon.errors import InvalidInput
from ratoon.settings import without_password
from ratoon.tracking.client import Client
from ratoon.tracking.locations import SCHEME, artifact_key

DAY = 24 * 60 * 60


class Garbage(Struct, frozen=True, kw_only=True):
    """What was removed, or would be.

    Attributes:
        experiments: How many experiments.
        runs: How many runs.
        models: How many models.
        blobs: How many contents of files that no path stood for.
        freed: Bytes of those.
    """

    experiments: int
    runs: int
    models: int
    blobs: int
    freed: int


def collect_garbage(client: Client, *, older_than: float, grace: float = DAY, dry_run: bool = False) -> Garbage:
    """Remove what was deleted, and the files of it.

    Args:
        client: Whose stores; the tracking store must be a database.
        older_than: Seconds since the deletion that must have passed.
        grace: Seconds for which a content without a path is left alone: somebody may be about to name it.
        dry_run: Only say what would go.

    Raises:
        InvalidInput: The tracking store is no database of this machine's reach.
    """
    from ratoon.stores.sql.database import open_database
    from ratoon.stores.sql.plugin import SCHEMES
    from ratoon.stores.sql.purging import purge

    uri = client.settings.tracking_uri
    if not uri.startswith(SCHEMES):
        shown = without_password(uri)
        raise InvalidInput(f"tracking URI '{shown}' is no database; run this where the database of its server is")
    purged = purge(open_database(uri), now_ms() - int(older_than * 1000), dry_run=dry_run)
    if not dry_run:
        for artifact_uri in purged.artifact_uris:
            if artifact_uri.startswith(SCHEME):
                # A run's and a model's files lie in a folder "artifacts" of a folder of their own.
                client.artifacts.delete(artifact_key(artifact_uri).removesuffix("/artifacts"))
    freed = client.artifacts.collect(grace, dry_run=dry_run) if isinstance(client.artifacts, Collectable) else None
    return Garbage(
        experiments=len(purged.experiments),
        runs=len(purged.runs),
        models=len(purged.models),
        blobs=freed.blobs if freed else 0,
        freed=freed.size if freed else 0,
    )
