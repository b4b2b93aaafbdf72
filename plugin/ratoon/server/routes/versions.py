"""Versions of registered models."""

from __future__ import annotations

from ratoon.entities import ModelVersion, Query
from ratoon.errors import InvalidInput
from ratoon.server.endpoint import Answer, Call, Permission
from ratoon.server.routes.registry import stage_of
from ratoon.server.routes.sources import files_of, lineage_of
from ratoon.server.wire.fields import mapping, page, query_of
from ratoon.server.wire.registry import (
    STATUS_OF,
    CreateVersion,
    DeleteVersionTag,
    OneVersion,
    SearchVersions,
    SetVersionTag,
    TransitionStage,
    UpdateVersion,
    VersionStatus,
    version_json,
)
from ratoon.tracking.client import Client

_PAGE = 1000


def create(client: Client, request: CreateVersion) -> Answer:
    """Register a version; which run made it is taken from the source where that tells it."""
    lineage = lineage_of(client, request.source, request.run_id or None, request.model_id or None)
    version = ModelVersion(
        name=request.name,
        version=0,
        source=request.source,
        creation_timestamp=0,
        last_updated_timestamp=0,
        run_id=lineage.run_id,
        model_id=lineage.model_id,
        user_id=request.user_id or client.settings.user,
        description=request.description or "",
        status=STATUS_OF[request.status or VersionStatus.READY],
        run_link=request.run_link or "",
        tags=mapping(request.tags),
    )
    return {"model_version": version_json(client.registry.create_version(version))}


def get(client: Client, request: OneVersion) -> Answer:
    """Read a version."""
    return {"model_version": version_json(client.registry.get_version(request.name, request.number))}


def search(client: Client, request: SearchVersions) -> Answer:
    """Find versions."""
    return page("model_versions", client.registry.search_versions(query_of(request, limit=10_000)), version_json)


def update(client: Client, request: UpdateVersion) -> Answer:
    """Change the description."""
    version = client.registry.update_version(request.name, request.number, description=request.description)
    return {"model_version": version_json(version)}


def delete(client: Client, request: OneVersion) -> Answer:
    """Delete a version."""
    client.registry.delete_version(request.name, request.number)
    return {}


def set_tag(client: Client, request: SetVersionTag) -> Answer:
    """Set a tag."""
    client.registry.update_version(request.name, request.number, tags={request.key: request.value})
    return {}


def delete_tag(client: Client, request: DeleteVersionTag) -> Answer:
    """Take a tag away."""
    client.registry.update_version(request.name, request.number, tags={request.key: None})
    return {}


def transition(client: Client, request: TransitionStage) -> Answer:
    """Put a version into a stage; those that were in it may leave it for the archive."""
    stage = stage_of(request.stage)
    if request.archive_existing_versions and stage not in ("Staging", "Production"):
        raise InvalidInput(f"stage {stage!r} keeps its versions; leave out archive_existing_versions")
    version = client.registry.update_version(request.name, request.number, stage=stage)
    if request.archive_existing_versions:
        quoted = version.name.replace("'", "''")
        held = Query(filter=f"name = '{quoted}' AND current_stage = '{stage}'", limit=_PAGE)
        for other in client.registry.search_versions(held).items:
            if other.version != version.version:
                client.registry.update_version(other.name, other.version, stage="Archived")
    return {"model_version": version_json(version)}


def get_download_uri(client: Client, request: OneVersion) -> Answer:
    """Where the files are."""
    return {"artifact_uri": files_of(client, client.registry.get_version(request.name, request.number))}


ROUTES = (
    Call("POST", "/model-versions/create", create, Permission.REGISTER, request=CreateVersion),
    Call("GET", "/model-versions/get", get, Permission.READ, request=OneVersion),
    Call("GET", "/model-versions/search", search, Permission.READ, request=SearchVersions),
    Call("PATCH", "/model-versions/update", update, Permission.REGISTER, request=UpdateVersion),
    Call("DELETE", "/model-versions/delete", delete, Permission.REGISTER, request=OneVersion),
    Call("POST", "/model-versions/set-tag", set_tag, Permission.REGISTER, request=SetVersionTag),
    Call("DELETE", "/model-versions/delete-tag", delete_tag, Permission.REGISTER, request=DeleteVersionTag),
    Call("POST", "/model-versions/transition-stage", transition, Permission.REGISTER, request=TransitionStage),
    Call("GET", "/model-versions/get-download-uri", get_download_uri, Permission.READ, request=OneVersion),
)
