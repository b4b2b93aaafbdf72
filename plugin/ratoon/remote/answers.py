"""What a server's refusal means: its error code becomes the error that a store on this machine would raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ratoon.errors import AlreadyExists, Conflict, Corrupt, InvalidInput, NotFound, RatoonError, StoreError

if TYPE_CHECKING:
    import httpx

# The server, or what stands before it, could not do it now; 507 is a full disk, which somebody will empty.
BUSY = frozenset({429, 502, 503, 504, 507})

ERRORS: dict[str, type[RatoonError]] = {
    "INVALID_PARAMETER_VALUE": InvalidInput,
    "BAD_REQUEST": InvalidInput,
    "RESOURCE_ALREADY_EXISTS": AlreadyExists,
    "ALREADY_EXISTS": AlreadyExists,
    "RESOURCE_DOES_NOT_EXIST": NotFound,
    "NOT_FOUND": NotFound,
    "RESOURCE_CONFLICT": Conflict,
    "ABORTED": Conflict,
    "DATA_LOSS": Corrupt,
}
MOST_SHOWN = 2000


def error_of(response: httpx.Response, base: str) -> RatoonError:
    """The error that an answer stands for."""
    code, message = _content(response)
    if response.status_code in (401, 403) and code not in ERRORS:
        return StoreError(
            f"server '{base}' refused the request ({response.status_code} {message or 'no permission'}); set"
            " RATOON_TRACKING_TOKEN, or RATOON_TRACKING_USERNAME and RATOON_TRACKING_PASSWORD"
        )
    if code in ERRORS:
        return ERRORS[code](message or f"server '{base}' answered {code}; see its log")
    what = f"{response.status_code} {code} {message}".strip()
    return StoreError(f"server '{base}' failed ({what}); check the URI and the server's log")


def _content(response: httpx.Response) -> tuple[str, str]:
    try:
        found = msgspec.json.decode(response.read())
        return str(found["error_code"]), str(found.get("message", ""))[:MOST_SHOWN]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return "", ""
