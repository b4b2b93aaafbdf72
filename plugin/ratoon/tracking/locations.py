"""Where files are, in URIs that stay true when the store moves.

``mlflow-artifacts:/<path>`` means "in the artifact store that belongs to this tracking store": MLflow's scheme for its
server's proxy, used here for the embedded store as well, so that neither a moved folder nor a server in front of it
changes a URI.
"""

from __future__ import annotations

import re

from msgspec import Struct

from ratoon.errors import InvalidInput

SCHEME = "mlflow-artifacts:/"

_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_VERSION = re.compile(r"\d{1,9}")


class ModelUri(Struct, frozen=True, kw_only=True):
    """What a model URI names: a registered version, a logged model, or a model of a run. Exactly one form is set.

    Attributes:
        name: Registered model, with one of ``version``, ``alias`` or neither for the latest version.
        model_id: Logged model.
        run_id: Run, with ``run_model`` the name under which it logged the model.
    """

    name: str | None = None
    version: int | None = None
    alias: str | None = None
    model_id: str | None = None
    run_id: str | None = None
    run_model: str | None = None


def artifact_key(artifact_uri: str) -> str:
    """The path in the artifact store that an artifact URI stands for."""
    if not artifact_uri.startswith(SCHEME):
        raise InvalidInput(f"artifact URI '{artifact_uri}' lies outside the store; only {SCHEME}… can be read")
    return artifact_uri.removeprefix(SCHEME).strip("/")


def parse_model_uri(uri: str) -> ModelUri:
    """Read ``models:/name@alias``, ``models:/name/3``, ``models:/name``, ``models:/m-<id>`` or ``runs:/<id>/name``.

    Raises:
        InvalidInput: It is none of these.
    """
    scheme, _, rest = uri.partition(":/")
    rest = rest.lstrip("/")
    if scheme == "runs":
        run_id, _, name = rest.strip("/").partition("/")
        if name.strip("/"):
            return ModelUri(run_id=run_id, run_model=name.strip("/"))
    elif scheme == "models" and rest:
        found = _registered(rest)
        if found:
            return found
    raise InvalidInput(
        f"model URI '{uri}' cannot be read; give models:/NAME@ALIAS, models:/NAME/VERSION or runs:/RUN_ID/MODEL"
    )


def _registered(rest: str) -> ModelUri | None:
    if _MODEL_ID.fullmatch(rest):
        return ModelUri(model_id=rest)
    name, at, alias = rest.partition("@")
    if at:
        return ModelUri(name=name, alias=alias) if name and alias else None
    name, _, version = rest.partition("/")
    if version in ("", "latest"):
        return ModelUri(name=name)
    return ModelUri(name=name, version=int(version)) if _VERSION.fullmatch(version) else None
