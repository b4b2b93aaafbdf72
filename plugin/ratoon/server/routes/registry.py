"""Registered models and their aliases."""

from __future__ import annotations

from collections.abc import Sequence

from ratoon.clock import now_ms
from ratoon.entities import AliasMove, ModelVersion, MoveKind, Query, RegisteredModel
from ratoon.errors import Conflict
from ratoon.server.endpoint import Answer, Call, Permission
from ratoon.server.wire.fields import Json, mapping, page, query_of
from ratoon.server.wire.registry import (
    CreateRegistered,
    DeleteNameTag,
    LatestVersions,
    OneAlias,
    OneName,
    Rename,
    SearchRegistered,
    SetAlias,
    SetNameTag,
    UpdateRegistered,
    registered_json,
    version_json,
)
from ratoon.stores.limits import STAGES, check_stage
from ratoon.stores.protocol import Registry
from ratoon.tracking.client import Client

# Somebody else may move the alias between reading who holds it and moving it; he cannot be faster for ever.
ATTEMPTS = 100
_FEW = 100


def stage_of(name: str) -> str:
    """A stage in its own spelling, however MLflow's client writes it; InvalidInput if there is none of that name."""
    return check_stage(next((stage for stage in STAGES if stage.lower() == name.lower()), name))


def create(client: Client, request: CreateRegistered) -> Answer:
    """Create a name."""
    made = client.registry.create_registered_model(request.name, request.description or "", mapping(request.tags))
    return {"registered_model": registered_json(made)}


def get(client: Client, request: OneName) -> Answer:
    """Read a name."""
    return {"registered_model": _in_full(client.registry, client.registry.get_registered_model(request.name))}


def search(client: Client, request: SearchRegistered) -> Answer:
    """Find names."""
    found = client.registry.search_registered_models(query_of(request, limit=100))
    return page("registered_models", found, lambda model: _in_full(client.registry, model))


def rename(client: Client, request: Rename) -> Answer:
    """Give another name."""
    model = client.registry.update_registered_model(request.name, new_name=request.new_name)
    return {"registered_model": _in_full(client.registry, model)}


def update(client: Client, request: UpdateRegistered) -> Answer:
    """Change the description."""
    model = client.registry.update_registered_model(request.name, description=request.description)
    return {"registered_model": _in_full(client.registry, model)}


def delete(client: Client, request: OneName) -> Answer:
    """Delete a name with everything under it."""
    client.registry.delete_registered_model(request.name)
    return {}


def set_tag(client: Client, request: SetNameTag) -> Answer:
    """Set a tag."""
    client.registry.update_registered_model(request.name, tags={request.key: request.value})
    return {}


def delete_tag(client: Client, request: DeleteNameTag) -> Answer:
    """Take a tag away."""
    client.registry.update_registered_model(request.name, tags={request.key: None})
    return {}


def latest_versions(client: Client, request: LatestVersions) -> Answer:
    """The newest version of each stage."""
    stages = tuple(map(stage_of, request.stages or ())) or STAGES
    model = client.registry.get_registered_model(request.name)
    found = [version_json(version) for version in _latest(client.registry, model.name, stages)]
    return {"model_versions": found} if found else {}


def set_alias(client: Client, request: SetAlias) -> Answer:
    """Give an alias to a version, whoever holds it."""
    client.registry.get_version(request.name, request.number)
    _move(client, request.name, request.alias, request.number)
    return {}


def delete_alias(client: Client, request: OneAlias) -> Answer:
    """Take an alias away; not an error if nobody holds it."""
    _move(client, request.name, request.alias, None)
    return {}


def get_by_alias(client: Client, request: OneAlias) -> Answer:
    """Read the version that holds an alias."""
    return {"model_version": version_json(client.registry.version_by_alias(request.name, request.alias))}


def _move(client: Client, name: str, alias: str, version: int | None) -> None:
    for attempt in range(ATTEMPTS):
        holder = client.registry.get_registered_model(name).aliases.get(alias)
        if holder == version:
            return
        move = AliasMove(
            name=name,
            alias=alias,
            from_version=holder,
            to_version=version,
            kind=MoveKind.DELETE if version is None else MoveKind.SET,
            moved_by=client.settings.user,
            reason="",
            timestamp=now_ms(),
        )
        try:
            return client.registry.move_alias(move)
        except Conflict:
            if attempt == ATTEMPTS - 1:
                raise


def _in_full(registry: Registry, model: RegisteredModel) -> Json:
    return registered_json(model, _latest(registry, model.name, STAGES) if model.latest_version else ())


def _latest(registry: Registry, name: str, stages: Sequence[str]) -> list[ModelVersion]:
    """The newest version of each stage: out of one page where a name has few, by a search each where it has many."""
    quoted = name.replace("'", "''")
    newest = registry.search_versions(Query(filter=f"name = '{quoted}'", limit=_FEW))
    if newest.next_token is None:
        first = {version.current_stage: version for version in reversed(newest.items)}
        return [first[stage] for stage in stages if stage in first]
    found: list[ModelVersion] = []
    for stage in stages:
        query = Query(filter=f"name = '{quoted}' AND current_stage = '{stage}'", limit=1)
        found += registry.search_versions(query).items
    return found


ROUTES = (
    Call("POST", "/registered-models/create", create, Permission.REGISTER, request=CreateRegistered),
    Call("GET", "/registered-models/get", get, Permission.READ, request=OneName),
    Call("GET", "/registered-models/search", search, Permission.READ, request=SearchRegistered),
    Call("POST", "/registered-models/rename", rename, Permission.REGISTER, request=Rename),
    Call("PATCH", "/registered-models/update", update, Permission.REGISTER, request=UpdateRegistered),
    Call("DELETE", "/registered-models/delete", delete, Permission.REGISTER, request=OneName),
    Call("POST", "/registered-models/set-tag", set_tag, Permission.REGISTER, request=SetNameTag),
    Call("DELETE", "/registered-models/delete-tag", delete_tag, Permission.REGISTER, request=DeleteNameTag),
    Call("POST", "/registered-models/get-latest-versions", latest_versions, Permission.READ, request=LatestVersions),
    Call("GET", "/registered-models/get-latest-versions", latest_versions, Permission.READ, request=LatestVersions),
    Call("POST", "/registered-models/alias", set_alias, Permission.REGISTER, request=SetAlias),
    Call("DELETE", "/registered-models/alias", delete_alias, Permission.REGISTER, request=OneAlias),
    Call("GET", "/registered-models/alias", get_by_alias, Permission.READ, request=OneAlias),
)
