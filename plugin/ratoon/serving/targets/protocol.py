"""The protocol behind every deploy target.

The target itself is the book of record: it answers what is deployed from what really runs, so no list can go stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct, field

from ratoon.entities import Deployment
from ratoon.settings import Settings


class DeployRequest(Struct, frozen=True, kw_only=True):
    """What is to be put into service, and how.

    Attributes:
        name: Name of the deployment; one that exists is replaced.
        model_uri: What to serve, ``models:/iris@champion`` for example.
        settings: Where the model is found.
        model_name: Name of the registered model, None if the URI names none.
        model_version: The version that the URI stands for now.
        options: What the target takes beyond that; an unknown key is InvalidInput.
    """

    name: str
    model_uri: str
    settings: Settings
    model_name: str | None = None
    model_version: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)


class DeployTarget(Protocol):
    """A place where models are put into service."""

    def deploy(self, request: DeployRequest) -> Deployment:
        """Bring the model into service; returns when it answers, DeploymentFailed if it does not.

        A deployment of the same name is replaced once the new one answers; if it does not, the old one stays.
        """

    def list(self, settings: Settings) -> list[Deployment]:
        """What is deployed here, with its health as it is now."""

    def remove(self, name: str, settings: Settings) -> Deployment:
        """Take a deployment out of service; NotFound if there is none of that name."""
