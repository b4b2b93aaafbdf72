"""Messages about registered models, their versions and aliases."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from ratoon.entities import ModelStatus, ModelVersion, RegisteredModel
from ratoon.server.wire.fields import Json, KeyValue, Required, Search, given, pairs, whole


class OneName(Struct, frozen=True, kw_only=True):
    """``registered-models/get`` and ``delete``."""

    name: Required


class CreateRegistered(OneName, frozen=True, kw_only=True):
    """``registered-models/create``."""

    description: str | None = None
    tags: list[KeyValue] | None = None


class Rename(OneName, frozen=True, kw_only=True):
    """``registered-models/rename``."""

    new_name: Required


class UpdateRegistered(OneName, frozen=True, kw_only=True):
    """``registered-models/update``."""

    description: str | None = None


class SearchRegistered(Search, frozen=True):
    """``registered-models/search``."""


class LatestVersions(OneName, frozen=True, kw_only=True):
    """``registered-models/get-latest-versions``."""

    stages: list[str] | None = None


class SetNameTag(OneName, frozen=True, kw_only=True):
    """``registered-models/set-tag``."""

    key: Required
    value: str = ""


class DeleteNameTag(OneName, frozen=True, kw_only=True):
    """``registered-models/delete-tag``."""

    key: Required


class OneAlias(OneName, frozen=True, kw_only=True):
    """``GET`` and ``DELETE registered-models/alias``."""

    alias: Required


class OneVersion(OneName, frozen=True, kw_only=True):
    """``model-versions/get``, ``delete`` and ``get-download-uri``."""

    version: Required

    @property
    def number(self) -> int:
        """The version as a number."""
        return whole("version", self.version)


class SetAlias(OneVersion, frozen=True, kw_only=True):
    """``POST registered-models/alias``."""

    alias: Required


class VersionStatus(StrEnum):
    """``ModelVersionStatus``."""

    PENDING_REGISTRATION = "PENDING_REGISTRATION"
    READY = "READY"
    FAILED_REGISTRATION = "FAILED_REGISTRATION"


_STATUS = {
    ModelStatus.PENDING: VersionStatus.PENDING_REGISTRATION,
    ModelStatus.READY: VersionStatus.READY,
    ModelStatus.FAILED: VersionStatus.FAILED_REGISTRATION,
}
STATUS_OF = {wire: status for status, wire in _STATUS.items()}


class CreateVersion(OneName, frozen=True, kw_only=True):
    """``model-versions/create``; user and status are extensions."""

    source: Required
    run_id: str | None = None
    tags: list[KeyValue] | None = None
    run_link: str | None = None
    description: str | None = None
    model_id: str | None = None
    user_id: str | None = None
    status: VersionStatus | None = None


class UpdateVersion(OneVersion, frozen=True, kw_only=True):
    """``model-versions/update``."""

    description: str | None = None


class TransitionStage(OneVersion, frozen=True, kw_only=True):
    """``model-versions/transition-stage``."""

    stage: Required
    archive_existing_versions: bool = False


class SetVersionTag(OneVersion, frozen=True, kw_only=True):
    """``model-versions/set-tag``."""

    key: Required
    value: str = ""


class DeleteVersionTag(OneVersion, frozen=True, kw_only=True):
    """``model-versions/delete-tag``."""

    key: Required


class SearchVersions(Search, frozen=True):
    """``model-versions/search``."""


def version_json(version: ModelVersion) -> Json:
    """A ``ModelVersion``."""
    return given(
        {
            "name": version.name,
            "version": str(version.version),
            "creation_timestamp": version.creation_timestamp,
            "last_updated_timestamp": version.last_updated_timestamp,
            "user_id": version.user_id,
            "current_stage": version.current_stage,
            "description": version.description,
            "source": version.source,
            "run_id": version.run_id or "",
            "status": _STATUS[version.status],
            "run_link": version.run_link,
            "tags": pairs(version.tags),
            "aliases": list(version.aliases),
            "model_id": version.model_id,
        }
    )


def registered_json(model: RegisteredModel, latest: Iterable[ModelVersion] = ()) -> Json:
    """A ``RegisteredModel``, with the newest version of each stage."""
    return given(
        {
            "name": model.name,
            "creation_timestamp": model.creation_timestamp,
            "last_updated_timestamp": model.last_updated_timestamp,
            "description": model.description,
            "latest_versions": [version_json(version) for version in latest],
            "tags": pairs(model.tags),
            "aliases": [{"alias": alias, "version": str(number)} for alias, number in model.aliases.items()],
        }
    )
