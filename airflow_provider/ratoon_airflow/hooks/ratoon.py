"""The connection type ``ratoon``: where runs, models and files are kept.

ratoon's own modules are imported when a connection is used, not when Airflow looks at the hook.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote, urlsplit

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

if TYPE_CHECKING:
    from ratoon.settings import Settings
    from ratoon.tracking.client import Client

FIELDS = ("tracking_uri", "registry_uri", "artifact_root")
"""What a connection may say, in its extra."""

DEFAULT_CONN_ID = "ratoon_default"

_PASSWORD = re.compile(r"(?<=:)[^:/@\s]+(?=@)")


class RatoonHook(BaseHook):
    """Opens the stores that a connection names.

    The extra of the connection holds ``tracking_uri``, ``registry_uri`` and ``artifact_root``; the last two have the
    defaults that ratoon has everywhere. A host that holds a URI stands for the tracking URI. In the environment::

        AIRFLOW_CONN_RATOON_DEFAULT='{"conn_type": "ratoon", "extra": {"tracking_uri": "sqlite:////data/ratoon.db"}}'

    If the default connection is not defined and ``RATOON_TRACKING_URI`` is set, the ``RATOON_…`` variables are used, so
    that a worker that is set up for ratoon already needs no connection. A connection that was asked for by another name
    must exist. Relative paths, ``ratoon.toml`` and local state are looked for from ``AIRFLOW_HOME``: the folder that a
    worker happens to be started in means nothing.

    Args:
        ratoon_conn_id: The connection to use.
    """

    conn_name_attr: ClassVar[str] = "ratoon_conn_id"
    default_conn_name: ClassVar[str] = DEFAULT_CONN_ID
    conn_type: ClassVar[str] = "ratoon"
    hook_name: ClassVar[str] = "ratoon"

    def __init__(self, ratoon_conn_id: str = DEFAULT_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratoon_conn_id = ratoon_conn_id

    def get_conn(self) -> Client:
        """Open a client; the same as :meth:`get_client`."""
        return self.get_client()

    def get_client(self) -> Client:
        """Make a client for the stores of the connection; it must be closed, :meth:`client` does that.

        Raises:
            AirflowNotFoundException: The connection is not defined. This may pass, as where a secrets backend was away,
                so a task that fails for it is retried.
            InvalidSetting: A value of the connection, the environment or ``ratoon.toml`` cannot be used.
        """
        from ratoon.tracking.client import Client

        return Client(self.get_settings())

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Open a client for the length of a block."""
        client = self.get_client()
        try:
            yield client
        finally:
            client.close()

    def get_settings(self) -> Settings:
        """Resolve the connection: what it says wins over the environment, that over ``ratoon.toml``."""
        from ratoon.settings import load_settings

        settings = load_settings(_airflow_home(), None, **self._given())
        for uri in (settings.tracking_uri, settings.registry_uri, settings.artifact_root):
            _mask_password(uri)
        return settings

    def test_connection(self) -> tuple[bool, str]:
        """Ask the tracking store and the registry one question each, for the button in Airflow's form."""
        from ratoon.entities import Query
        from ratoon.errors import RatoonError

        one = Query(limit=1)
        try:
            with self.client() as client:
                client.tracking.search_experiments(one)
                client.registry.search_registered_models(one)
                places = sorted({client.settings.tracking_uri, client.settings.registry_uri})
        except (AirflowNotFoundException, RatoonError) as error:
            return False, without_passwords(str(error))
        return True, without_passwords(f"{' and '.join(places)} answered")

    def _given(self) -> dict[str, str]:
        try:
            connection = self.get_connection(self.ratoon_conn_id)
        except AirflowNotFoundException as error:
            if self.ratoon_conn_id == DEFAULT_CONN_ID and os.environ.get("RATOON_TRACKING_URI"):
                return {}
            raise AirflowNotFoundException(_how_to_define(self.ratoon_conn_id)) from error
        extra = connection.extra_dejson
        if unknown := sorted(set(extra) - set(FIELDS)):
            self.log.warning(
                "connection %r has an extra that ratoon does not know (%s) and ignores it; it knows %s",
                self.ratoon_conn_id,
                ", ".join(unknown),
                ", ".join(FIELDS),
            )
        return _uri_of_host(connection) | {key: str(extra[key]) for key in FIELDS if extra.get(key)}


def environment(settings: Settings) -> dict[str, str]:
    """The variables that make another process use the same stores."""
    return {f"RATOON_{field.upper()}": getattr(settings, field) for field in FIELDS}


def without_passwords(text: str) -> str:
    """The text as it may be shown: the passwords of URIs in it are hidden."""
    return _PASSWORD.sub("***", text)


def _mask_password(uri: str) -> None:
    """Keep the password of a URI out of every log of the task, what child processes print included."""
    if password := urlsplit(uri).password:
        mask_secret(password)
        mask_secret(unquote(password))


def _uri_of_host(connection: Connection) -> dict[str, str]:
    host = connection.host or ""
    if not host.startswith(("sqlite:", "memory:")) and "://" not in host:
        return {}
    # Airflow takes a port out of a connection that is given as a URI.
    return {"tracking_uri": f"{host}:{connection.port}" if connection.port else host}


def _how_to_define(conn_id: str) -> str:
    extra = '{"tracking_uri": "sqlite:////data/ratoon.db"}'
    by_environment = f'AIRFLOW_CONN_{conn_id.upper()}=\'{{"conn_type": "ratoon", "extra": {extra}}}\''
    otherwise = ", or RATOON_TRACKING_URI alone" if conn_id == DEFAULT_CONN_ID else ""
    return (
        f"connection '{conn_id}' is not defined (neither in Airflow nor in the environment); "
        f"run: airflow connections add {conn_id} --conn-type ratoon --conn-extra '{extra}', "
        f"or set {by_environment}{otherwise}"
    )


def _airflow_home() -> Path:
    return Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME", "~/airflow"))).expanduser()
