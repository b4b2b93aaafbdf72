"""Experiments."""

from __future__ import annotations

from ratoon.artifacts.paths import check_path
from ratoon.entities import LifecycleStage
from ratoon.errors import InvalidInput, NotFound
from ratoon.server.endpoint import Answer, Call, Permission
from ratoon.server.wire.experiments import (
    CreateExperiment,
    DeleteExperimentTag,
    ExperimentByName,
    OneExperiment,
    SearchExperiments,
    SetExperimentTag,
    UpdateExperiment,
    experiment_json,
)
from ratoon.server.wire.fields import mapping, page, query_of
from ratoon.tracking.client import Client
from ratoon.tracking.locations import SCHEME


def create(client: Client, request: CreateExperiment) -> Answer:
    """Create an experiment."""
    location = _checked_location(request.artifact_location)
    made = client.tracking.create_experiment(request.name, mapping(request.tags), artifact_location=location)
    return {"experiment_id": made.experiment_id}


def search(client: Client, request: SearchExperiments) -> Answer:
    """Find experiments."""
    found = client.tracking.search_experiments(query_of(request, limit=1000, view=request.view_type))
    return page("experiments", found, experiment_json)


def get(client: Client, request: OneExperiment) -> Answer:
    """Read an experiment."""
    return {"experiment": experiment_json(client.tracking.get_experiment(request.experiment_id))}


def get_by_name(client: Client, request: ExperimentByName) -> Answer:
    """Read an experiment by its name."""
    found = client.tracking.find_experiment(request.experiment_name)
    if found is None:
        raise NotFound(f"experiment {request.experiment_name[:200]!r} does not exist; create it first")
    return {"experiment": experiment_json(found)}


def delete(client: Client, request: OneExperiment) -> Answer:
    """Put an experiment into the bin."""
    client.tracking.move_experiment(request.experiment_id, LifecycleStage.DELETED)
    return {}


def restore(client: Client, request: OneExperiment) -> Answer:
    """Take an experiment out of the bin."""
    client.tracking.move_experiment(request.experiment_id, LifecycleStage.ACTIVE)
    return {}


def update(client: Client, request: UpdateExperiment) -> Answer:
    """Rename an experiment."""
    client.tracking.rename_experiment(request.experiment_id, request.new_name)
    return {}


def set_tag(client: Client, request: SetExperimentTag) -> Answer:
    """Set a tag."""
    client.tracking.tag_experiment(request.experiment_id, {request.key: request.value})
    return {}


def delete_tag(client: Client, request: DeleteExperimentTag) -> Answer:
    """Take a tag away."""
    client.tracking.tag_experiment(request.experiment_id, {request.key: None})
    return {}


def _checked_location(location: str | None) -> str | None:
    """A client may choose a place in the server's own store, and no other: a path is never one of the server's disk."""
    if not location:
        return None
    key = location.removeprefix(SCHEME)
    if key == location or any(character in key for character in "#?;%"):
        raise InvalidInput(
            f"artifact location {location[:200]!r} is not allowed; leave it out, or give {SCHEME}<folder>"
        )
    return SCHEME + check_path(key.rstrip("/"))


ROUTES = (
    Call("POST", "/experiments/create", create, Permission.LOG, request=CreateExperiment),
    Call("POST", "/experiments/search", search, Permission.READ, request=SearchExperiments),
    Call("GET", "/experiments/search", search, Permission.READ, request=SearchExperiments),
    Call("GET", "/experiments/get", get, Permission.READ, request=OneExperiment),
    Call("GET", "/experiments/get-by-name", get_by_name, Permission.READ, request=ExperimentByName),
    Call("POST", "/experiments/delete", delete, Permission.ADMIN, request=OneExperiment),
    Call("POST", "/experiments/restore", restore, Permission.ADMIN, request=OneExperiment),
    Call("POST", "/experiments/update", update, Permission.ADMIN, request=UpdateExperiment),
    Call("POST", "/experiments/set-experiment-tag", set_tag, Permission.LOG, request=SetExperimentTag),
    Call("POST", "/experiments/delete-experiment-tag", delete_tag, Permission.LOG, request=DeleteExperimentTag),
)
