"""How a person names a run: by its id, the beginning of its id, its name, or ``latest``."""

from __future__ import annotations

from ratoon.entities import Run
from ratoon.errors import InvalidInput, NotFound
from ratoon.tracking.client import Client

# So far back a shortened id or a name is looked for; a whole id is found however old the run is.
LOOKED_THROUGH = 1000


def find_run(client: Client, named: str) -> Run:
    """The run that is meant.

    Raises:
        NotFound: There is none.
        InvalidInput: There are several.
    """
    if len(named) == 32:
        return client.tracking.get_run(named)
    runs = client.tracking.list_runs(limit=LOOKED_THROUGH).items
    if named == "latest" and runs:
        return runs[0]
    found = [run for run in runs if run.run_id.startswith(named) or run.run_name == named]
    if not found:
        raise NotFound(f"run '{named}' is none of the latest {LOOKED_THROUGH}; list them with 'ratoon runs'")
    if len(found) > 1:
        ids = ", ".join(run.run_id[:8] for run in found[:5])
        raise InvalidInput(f"run '{named}' may be one of {len(found)} ({ids}…); give more of its id")
    return found[0]
