"""What Airflow is told about this provider.

Airflow calls this in every process it starts, each command line call included: nothing is imported here, and nothing
may be imported by the package's ``__init__``.
"""

from __future__ import annotations

INTEGRATION = "ratoon"

# Not "dict[str, Any]": that would be an import for the sake of one annotation.
_CONNECTION_TYPE: dict[str, object] = {
    "connection-type": "ratoon",
    "hook-class-name": "ratoon_airflow.hooks.ratoon.RatoonHook",
    "hook-name": "ratoon",
    "ui-field-behaviour": {
        "hidden-fields": ["host", "schema", "login", "password", "port", "extra"],
        "relabeling": {},
        "placeholders": {
            "tracking_uri": "sqlite:////data/ratoon/ratoon.db",
            "registry_uri": "the same as the tracking URI",
            "artifact_root": "/data/ratoon/artifacts",
        },
    },
    "conn-fields": {
        "tracking_uri": {
            "label": "Tracking URI",
            "description": "Where runs are recorded, as every worker reaches it.",
            "schema": {"type": ["string", "null"]},
        },
        "registry_uri": {
            "label": "Registry URI",
            "description": "Where models are registered; the tracking URI if this is empty.",
            "schema": {"type": ["string", "null"]},
        },
        "artifact_root": {
            "label": "Artifact root",
            "description": "Path or URI under which files are kept; beside the tracking database if this is empty.",
            "schema": {"type": ["string", "null"]},
        },
    },
}


def get_provider_info() -> dict[str, object]:
    """Describe the provider by the keys of Airflow's ``provider_info.schema.json``.

    ``package-name`` must be the name of the installed distribution: with any other, every Airflow command fails.
    """
    return {
        "package-name": "ratoon",
        "name": "ratoon",
        "description": "Trains, registers, promotes and deploys models that ratoon tracks.",
        "integrations": [{"integration-name": INTEGRATION, "tags": ["software"]}],
        "hooks": [{"integration-name": INTEGRATION, "python-modules": ["ratoon_airflow.hooks.ratoon"]}],
        "operators": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    "ratoon_airflow.operators.kedro",
                    "ratoon_airflow.operators.registry",
                    "ratoon_airflow.operators.serving",
                ],
            }
        ],
        "connection-types": [_CONNECTION_TYPE],
    }
