"""Where a server is and what proves who asks: from the URI and the environment, never shown.

A variable of ours wins over MLflow's of the same meaning, both over what stands in the URI. A token wins over a name
with a password.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from ratoon.errors import InvalidInput, InvalidSetting

PREFIXES = ("RATOON", "MLFLOW")
TIMEOUT_SECONDS = 60.0


class Address:
    """The base URL of a server without its credentials, and how to make requests to it.

    Args:
        uri: ``http(s)://[user:password@]host[:port][/prefix]``.
        environ: The environment; the process's own if None.

    Raises:
        InvalidInput: The URI has no host, or a query or a fragment.
    """

    def __init__(self, uri: str, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
        except ValueError:  # its text would show the password
            host, port = None, None
        if not host or parts.query or parts.fragment:
            raise InvalidInput("server URI is not one (a host, no query and no fragment); give http://host:port")
        self._userinfo = (unquote(parts.username or ""), unquote(parts.password or ""))
        location = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
        self.base = urlunsplit((parts.scheme, location, parts.path.rstrip("/"), "", ""))

    def __repr__(self) -> str:
        return f"Address({self.base!r})"

    def options(self) -> dict[str, Any]:
        """The arguments of an ``httpx.Client``."""
        import httpx

        options: dict[str, Any] = {
            "base_url": self.base,
            "timeout": httpx.Timeout(self.timeout(), connect=min(5.0, self.timeout())),
            "verify": self._verification(),
        }
        token = self._variable("TOKEN")
        name, password = self._variable("USERNAME"), self._variable("PASSWORD")
        if token:
            options["headers"] = {"Authorization": f"Bearer {token}"}
        elif name or password:
            options["auth"] = httpx.BasicAuth(name or "", password or "")
        elif any(self._userinfo):
            options["auth"] = httpx.BasicAuth(*self._userinfo)
        return options

    def timeout(self) -> float:
        """So many seconds may a server be silent."""
        for prefix in PREFIXES:
            name = f"{prefix}_HTTP_REQUEST_TIMEOUT"
            given = self._environ.get(name)
            if given:
                try:
                    return max(0.1, float(given))
                except ValueError as error:
                    raise InvalidSetting(f"setting {name} is {given!r}; give a number of seconds") from error
        return TIMEOUT_SECONDS

    def _verification(self) -> ssl.SSLContext | bool:
        if self._variable("INSECURE_TLS").lower() in ("1", "true", "yes", "on"):
            return False
        path = self._variable("SERVER_CERT_PATH")
        if not path:
            return True
        try:
            folder = os.path.isdir(path)
            return ssl.create_default_context(cafile=None if folder else path, capath=path if folder else None)
        except (OSError, ssl.SSLError) as error:
            raise InvalidSetting(
                f"certificates '{path}' cannot be read ({error}); correct RATOON_TRACKING_SERVER_CERT_PATH"
            ) from error

    def _variable(self, name: str) -> str:
        found = (self._environ.get(f"{prefix}_TRACKING_{name}") for prefix in PREFIXES)
        return next((value for value in found if value), "")
