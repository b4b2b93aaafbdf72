"""Deployments over all targets: made, listed and taken away, whoever runs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ratoon.entities import Deployment
from ratoon.errors import InvalidInput, NotFound
from ratoon.manager import collect, notify
from ratoon.serving.targets.protocol import DeployRequest, DeployTarget
from ratoon.tracking.models import resolve_version

if TYPE_CHECKING:
    import pluggy

    from ratoon.tracking.client import Client

HOOK = "register_deploy_targets"


def deploy(
    client: Client,
    model_uri: str,
    *,
    name: str | None = None,
    target: str = "local",
    options: Mapping[str, str] | None = None,
) -> Deployment:
    """Put a model into service and return when it answers.

    Args:
        client: Where the model is found, and which plugins take part.
        model_uri: What to serve.
        name: Name of the deployment, that of the registered model if None; one that exists is replaced.
        target: Where to, by the name that a plugin registered.
        options: What that target takes beyond that.

    Raises:
        InvalidInput: The target is unknown, the name is missing or an option cannot be used.
        DeploymentFailed: The model did not come into service; a deployment of that name goes on as it was.
    """
    place = _target(client.manager, target)
    version = resolve_version(client, model_uri)
    if name is None:
        if version is None:
            raise InvalidInput(f"model {model_uri!r} has no registered name to deploy it under; give one")
        name = version.name
    request = DeployRequest(
        name=name,
        model_uri=model_uri,
        settings=client.settings,
        model_name=version.name if version else None,
        model_version=version.version if version else None,
        options=dict(options or {}),
    )
    deployment = place.deploy(request)
    notify(client.manager, "deployment_changed", deployment=deployment, event="deployed")
    return deployment


def list_deployments(client: Client) -> list[Deployment]:
    """What is deployed on all targets, by name, with its health as it is now."""
    found = [deployment for target in _targets(client.manager).values() for deployment in target.list(client.settings)]
    return sorted(found, key=lambda deployment: (deployment.name, deployment.target))


def undeploy(client: Client, name: str, *, target: str | None = None) -> Deployment:
    """Take a deployment out of service.

    Args:
        client: Which plugins take part.
        name: Name of the deployment.
        target: Where it runs; needed only where several targets have one of that name.

    Raises:
        NotFound: No target has a deployment of that name.
        InvalidInput: The target is unknown, or several have a deployment of that name.
    """
    places = _targets(client.manager) if target is None else {target: _target(client.manager, target)}
    holders = [
        place for place, thing in places.items() if any(found.name == name for found in thing.list(client.settings))
    ]
    if not holders:
        raise NotFound(f"deployment {name!r} does not exist; list the deployments to see those that do")
    if len(holders) > 1:
        raise InvalidInput(f"deployment {name!r} exists on {' and '.join(sorted(holders))}; name the target")
    deployment = places[holders[0]].remove(name, client.settings)
    notify(client.manager, "deployment_changed", deployment=deployment, event="removed")
    return deployment


def _targets(manager: pluggy.PluginManager) -> dict[str, DeployTarget]:
    return {name: provided.thing for name, provided in collect(manager, HOOK).items()}


def _target(manager: pluggy.PluginManager, name: str) -> DeployTarget:
    targets = _targets(manager)
    if name not in targets:
        raise InvalidInput(f"deploy target {name!r} is not registered; known targets are {', '.join(sorted(targets))}")
    return targets[name]
