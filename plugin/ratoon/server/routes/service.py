"""The server itself: whether it lives, which version it is, what it can do."""

from __future__ import annotations

from ratoon.server.endpoint import MLFLOW_3, Answer, Call, Permission
from ratoon.server.wire.fields import Nothing
from ratoon.tracking.client import Client

# The protocol that is spoken: MLflow's client looks at it to know what it may ask for.
PROTOCOL_VERSION = "3.17.2"


def health(client: Client, request: Nothing) -> Answer:
    """Say that the server lives."""
    return "OK"


def version(client: Client, request: Nothing) -> Answer:
    """Say which MLflow a client may take this for."""
    return PROTOCOL_VERSION


def server_info(client: Client, request: Nothing) -> Answer:
    """Say what this server does beyond the least."""
    return {
        "store_type": "SqlStore",
        "workspaces_enabled": False,
        "trace_archival_enabled": False,
        "multipart_uploads_enabled": False,
        "multipart_downloads_enabled": False,
        "presigned_upload_run_id_supported": False,
        "presigned_upload_model_id_supported": False,
        "features_enabled": {"gateway": False},
    }


ROUTES = (
    Call("GET", "/health", health, Permission.ANYONE, ("",), request=Nothing),
    Call("GET", "/version", version, Permission.ANYONE, ("",), request=Nothing),
    Call("GET", "/server-info", server_info, Permission.ANYONE, MLFLOW_3, request=Nothing),
)
