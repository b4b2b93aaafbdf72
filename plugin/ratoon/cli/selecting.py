"""How a person names a run: by its id, the beginning of its id, its name, or ``latest``; and an experiment: by name."""

from __future__ import annotations

from ratoon.entities import Experiment, Query, Run, ViewType
from ratoon.errors import InvalidInput, NotFound
from ratoon.tracking.client import Client

# So far back a shortened id or a name is looked for; a whole id is found however old the run is.
LOOKED_THROUGH = 1000


def find_run(client: Client, named: str, view: ViewType = ViewType.ACTIVE_ONLY) -> Run:
    """The run that is meant, in a stage of life unless its whole id is given.

    Raises:
        NotFound: There is none.
        InvalidInput: There are several.
    """
    if len(named) == 32:
        return client.tracking.get_run(named)
    runs = client.tracking.search_runs(query=Query(view=view, limit=LOOKED_THROUGH)).items
    if named == "latest" and runs:
        return runs[0]
    found = [run for run in runs if run.run_id.startswith(named) or run.run_name == named]
    if not found:
        raise NotFound(f"run '{named}' is none of the latest {LOOKED_THROUGH}; list them with 'ratoon runs'")
    if len(found) > 1:
        ids = ", ".join(run.run_id[:8] for run in found[:5])
        raise InvalidInput(f"run '{named}' may be one of {len(found)} ({ids}…); give more of its id")
    return found[0]


def find_experiment(client: Client, name: str) -> Experiment:
    """The experiment of a name, a deleted one too; NotFound if there is none."""
    found = client.tracking.find_experiment(name)
    if found is None:
        raise NotFound(f"experiment {name!r} does not exist; list them with 'ratoon experiments'")
    return found
