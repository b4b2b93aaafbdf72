"""What proves to a server who asks, taken from Kedro's ``credentials.yml`` by key and never shown.

The stores read it from the environment, as everything else that talks to the server does; what stands there already
goes first.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ratoon.errors import InvalidSetting

FIELDS = ("token", "username", "password")
_GIVEN = tuple(f"{prefix}_TRACKING_{field.upper()}" for prefix in ("RATOON", "MLFLOW") for field in FIELDS)

# What this process was told by an earlier run: it must not be taken for the user's own.
_ours: dict[str, str] = {}


class Credentials(Struct, frozen=True, kw_only=True):
    """A token, or a name with a password."""

    token: str | None = None
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"


def find_credentials(key: str | None, config_loader: Any) -> Credentials | None:
    """What ``credentials.yml`` has under a key; None if no key is given, or the environment says it.

    Raises:
        InvalidSetting: There is no such key, or under it is something else; the message shows no value.
    """
    if key is None or any(os.environ.get(name) not in (None, "", _ours.get(name)) for name in _GIVEN):
        return None
    found = _section(key, config_loader)
    fits = isinstance(found, Mapping) and bool(found) and set(found) <= set(FIELDS)
    fits = fits and all(isinstance(value, str) and value for value in found.values())
    if not fits or not ("token" in found or {"username", "password"} <= set(found)):
        raise InvalidSetting(f"credentials {key!r} are not for a server; give them a token, or username and password")
    return Credentials(**found)


def use_credentials(credentials: Credentials | None) -> None:
    """Have this process show these credentials, and none that an earlier run had; what the user set stays."""
    for name, value in _ours.items():
        if os.environ.get(name) == value:
            del os.environ[name]
    _ours.clear()
    if credentials is not None:
        wanted = {f"RATOON_TRACKING_{field.upper()}": getattr(credentials, field) for field in FIELDS}
        _ours.update({name: value for name, value in wanted.items() if value})
        os.environ.update(_ours)


def _section(key: str, config_loader: Any) -> Any:
    from kedro.config import MissingConfigException

    try:
        sections = config_loader["credentials"]
    except (MissingConfigException, KeyError):
        sections = {}
    if key not in sections:
        known = f"known keys are {', '.join(map(str, sections))}" if sections else "credentials.yml is empty or missing"
        raise InvalidSetting(f"credentials {key!r} are not in credentials.yml ({known}); add them, or correct the key")
    return sections[key]
