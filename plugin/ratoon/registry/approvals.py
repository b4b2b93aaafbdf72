"""Approvals: a person says that a version may take an alias. Kept as tags of the version, one for each person.

Tags are kept by every registry, an MLflow server too, and an approval can be taken back. What a promotion relied on
does not get lost with it: the gate copies who approved, when and why into its verdict, which the alias's history keeps.
"""

from __future__ import annotations

import json
import re

import msgspec
from msgspec import Struct

from ratoon.clock import now_ms
from ratoon.entities import ModelVersion
from ratoon.errors import NotFound
from ratoon.stores.limits import check_alias
from ratoon.tracking.client import Client

PREFIX = "ratoon.approval"

_UNSAFE = re.compile(r"[^\w\-.]")


class Approval(Struct, frozen=True, kw_only=True):
    """Who approved that a version takes an alias, when (milliseconds since the epoch) and why."""

    alias: str
    by: str
    at: int
    reason: str = ""


def approve(client: Client, name: str, version: int, *, alias: str = "champion", reason: str = "") -> Approval:
    """Record that the user of the settings approves; a second time replaces the first.

    Raises:
        NotFound: There is no such version.
    """
    check_alias(alias)
    approval = Approval(alias=alias, by=client.settings.user, at=now_ms(), reason=reason)
    text = json.dumps(msgspec.to_builtins(approval), ensure_ascii=False)
    client.registry.update_version(name, version, tags={_key(alias, approval.by): text})
    return approval


def withdraw(client: Client, name: str, version: int, *, alias: str = "champion") -> Approval:
    """Take back the approval of the user of the settings.

    Raises:
        NotFound: There is none.
    """
    user = client.settings.user
    for approval in approvals_of(client.registry.get_version(name, version), alias):
        if approval.by == user:
            client.registry.update_version(name, version, tags={_key(alias, user): None})
            return approval
    raise NotFound(f"version {version} of model {name!r} has no approval of {user!r} for {alias!r}; give one first")


def approvals_of(version: ModelVersion, alias: str) -> list[Approval]:
    """Who approved that a version takes an alias, the first in front. What cannot be read is no approval."""
    found = (_read(value) for key, value in version.tags.items() if key.startswith(f"{PREFIX}.{alias}."))
    return sorted((each for each in found if each is not None and each.alias == alias), key=lambda each: each.at)


def is_approval(key: str) -> bool:
    """Whether a tag of this key holds an approval."""
    return key.startswith(f"{PREFIX}.")


def _key(alias: str, user: str) -> str:
    # Keys of tags hold few characters; the user's name itself stands in the value.
    return f"{PREFIX}.{alias}." + _UNSAFE.sub(lambda found: f":{ord(found[0]):x}:", user)


def _read(text: str) -> Approval | None:
    try:
        return msgspec.json.decode(text, type=Approval)
    except msgspec.DecodeError:
        return None
