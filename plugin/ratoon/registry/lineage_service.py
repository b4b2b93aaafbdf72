"""How models in service hang together with what is registered, by what the records of deployments say."""

from __future__ import annotations

from collections.abc import Iterator

from ratoon.entities import Deployment
from ratoon.errors import InvalidInput, NotFound
from ratoon.registry.lineage_nodes import Found, Kind
from ratoon.registry.lineage_subject import node_of_uri
from ratoon.tracking.client import Client
from ratoon.tracking.locations import ModelUri, parse_model_uri


def is_served(found: Found, deployment: Deployment) -> bool:
    """Whether a deployment serves this node: an alias only while it names what is served, else the version itself."""
    uri = _parsed(deployment)
    thing = found.thing
    if found.node.kind == Kind.ALIAS:
        followed = (uri.name, uri.alias) == (thing.name, thing.alias)
        return followed and deployment.model_version in (None, thing.version)
    if found.node.kind == Kind.VERSION:
        served = (deployment.model_name, deployment.model_version) == (thing.name, thing.version)
        return served and uri.alias not in thing.aliases
    if found.node.kind == Kind.MODEL:
        of_run = uri.run_id is not None and (uri.run_id, uri.run_model) == (thing.source_run_id, thing.name)
        return of_run or uri.model_id == thing.model_id
    return False


def served_by(client: Client, deployment: Deployment) -> Iterator[Found]:
    """What a deployment serves; nothing where that is a folder, or gone."""
    uris = [deployment.model_uri]
    if deployment.model_name is not None and deployment.model_version is not None:
        uris.append(f"models:/{deployment.model_name}/{deployment.model_version}")
    seen = set()
    for uri in uris:
        try:
            found = node_of_uri(client, uri)
        except (InvalidInput, NotFound):
            continue
        if found.node.id not in seen and is_served(found, deployment):
            seen.add(found.node.id)
            yield found


def _parsed(deployment: Deployment) -> ModelUri:
    try:
        return parse_model_uri(deployment.model_uri)
    except InvalidInput:  # a folder
        return ModelUri()
