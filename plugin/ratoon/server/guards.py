"""What no request gets past: which names this server goes by, and which pages may write to it.

A page in a browser reaches a server on its own machine. Its name in ``Host`` is not one of ours then (a name that is
made to point here is called DNS rebinding), or its ``Origin`` is another one.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from ratoon.server.failures import Unacceptable

if TYPE_CHECKING:
    from starlette.types import Scope

READING = frozenset(("GET", "HEAD"))
ANY_HOST = "*"
_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^\[\]:@/]+))(?::\d*)?")
# Who asks whether the server lives knows it by an address that nobody configured.
ALWAYS_OPEN = frozenset(("/health",))


def check_origin(scope: Scope, allowed: Collection[str]) -> None:
    """Refuse a request that a foreign page, or a name that is not ours, has led here.

    Args:
        scope: The request.
        allowed: Names beside those of this machine's loopback; ``*`` for any.

    Raises:
        Unacceptable: It comes by a name that is not allowed, or from the page of another server.
    """
    if scope["path"] in ALWAYS_OPEN:
        return
    hosts = _values(scope, b"host")
    name = host_name(hosts[0]) if len(hosts) == 1 else ""
    if not name or not (ANY_HOST in allowed or is_loopback(name) or name in allowed):
        raise Unacceptable(
            403,
            f"Host {(hosts or [''])[0][:80]!r} is not a name of this server; ask for it by 127.0.0.1, or start it with"
            " --allowed-host NAME",
        )
    if scope["method"] in READING:
        return
    for origin in _values(scope, b"origin"):
        if not _is_same(origin, hosts[0]):
            raise Unacceptable(
                403, f"Origin {origin[:80]!r} is not this server; pages of other servers may not write here"
            )


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


@functools.lru_cache(maxsize=64)
def host_name(host: str) -> str:
    """The name in a ``Host`` header, without the port, in lower case; empty if it has none."""
    host = host.strip().lower()
    found = _HOST.fullmatch(host)
    return (found["address"] or found["name"]).removesuffix(".") if found else ""


@functools.lru_cache(maxsize=64)
def is_loopback(name: str) -> bool:
    """Whether a name or an address leads to this machine and nowhere else."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_same(origin: str, host: str) -> bool:
    # A proxy may speak TLS for us: the scheme is left to it, name and port are not.
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")
