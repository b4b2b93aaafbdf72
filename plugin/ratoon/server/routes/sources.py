"""Where the files of a version come from: which URIs are taken, and which place of the store they stand for.

A source is one of ``models:/m-<id>``, ``models:/<name>/<version>``, ``runs:/<run>/<path>`` or an artifact URI of the
run or model that it lies in. Nothing else is taken, whatever tags or other fields come with it: it is handed to clients
later, who read from it.
"""

from __future__ import annotations

import re

from msgspec import Struct

from ratoon.artifacts.paths import check_path
from ratoon.entities import ModelVersion
from ratoon.errors import InvalidInput, NotFound
from ratoon.tracking.client import Client
from ratoon.tracking.locations import SCHEME, parse_model_uri

MOST_COPIES = 20

_RUN = re.compile(r"(?:.+?/)?(?P<run>[0-9a-f]{32})/artifacts/.+")
_MODEL = re.compile(r"(?:.+?/)?models/(?P<model>m-[0-9a-f]{32})/artifacts(?:/.+)?")


class Lineage(Struct, frozen=True):
    """Which run and which logged model stand behind a version."""

    run_id: str | None = None
    model_id: str | None = None


def lineage_of(client: Client, source: str, run_id: str | None, model_id: str | None) -> Lineage:
    """Check a source against the run and the model that were named with it.

    Raises:
        InvalidInput: It has no form that is allowed, or belongs to another run or model.
        NotFound: What it names is not there.
    """
    found = _lineage(client, source)
    if run_id and not found.run_id:
        found = Lineage(client.tracking.get_run(run_id).run_id, found.model_id)
    for what, named, real in (("run_id", run_id, found.run_id), ("model_id", model_id, found.model_id)):
        if named and named != real:
            raise InvalidInput(
                f"Invalid model version source {source[:200]!r}. The {what} request parameter must identify the"
                f" resource that contains the source ({real or 'there is none'}); correct it, or leave it out"
            )
    return found


def files_of(client: Client, version: ModelVersion) -> str:
    """The artifact URI of a version's files, through all copies that lie between."""
    for _ in range(MOST_COPIES):
        if version.source.startswith(SCHEME):
            return version.source
        if version.model_id is not None:
            return client.tracking.get_model(version.model_id).artifact_uri
        uri = parse_model_uri(version.source)
        if uri.run_id is not None:
            return f"{client.tracking.get_run(uri.run_id).artifact_uri}/{uri.run_model}"
        version = client.registry.get_version(uri.name or "", uri.version or 0)
    raise NotFound(f"version {version.version} of model {version.name!r} is a copy of itself; register it again")


def _lineage(client: Client, source: str) -> Lineage:
    if any(character in source for character in "#?;%"):
        raise _refused(source)
    if source.startswith(SCHEME):
        return _of_artifacts(client, source)
    try:
        uri = parse_model_uri(source)
    except InvalidInput as error:
        raise _refused(source) from error
    if uri.model_id is not None:
        model = client.tracking.get_model(uri.model_id)
        return Lineage(model.source_run_id, model.model_id)
    if uri.name is not None and uri.version is not None and source == f"models:/{uri.name}/{uri.version}":
        copied = client.registry.get_version(uri.name, uri.version)
        return Lineage(copied.run_id, copied.model_id)
    if uri.run_id is not None and source == f"runs:/{uri.run_id}/{uri.run_model}":
        check_path(uri.run_model or "")
        return _of_run(client, uri.run_id, uri.run_model or "")
    raise _refused(source)


def _of_run(client: Client, run_id: str, path: str) -> Lineage:
    """A model that the run logged under this name, or a folder of its own artifacts."""
    client.tracking.get_run(run_id)
    for model in reversed(client.tracking.run_models(run_id)):
        if model.name == path:
            return Lineage(run_id, model.model_id)
    return Lineage(run_id)


def _of_artifacts(client: Client, source: str) -> Lineage:
    key = check_path(source.removeprefix(SCHEME).rstrip("/"))
    if found := _MODEL.fullmatch(key):
        model = client.tracking.get_model(found["model"])
        if _lies_in(key, model.artifact_uri):
            # Only the model's own folder is the model; a folder in it has files of its own.
            whole = SCHEME + key == model.artifact_uri
            return Lineage(model.source_run_id, model.model_id if whole else None)
    elif found := _RUN.fullmatch(key):
        run = client.tracking.get_run(found["run"])
        if _lies_in(key, run.artifact_uri):
            return Lineage(run.run_id)
    raise _refused(source)


def _lies_in(key: str, folder: str) -> bool:
    return f"{SCHEME}{key}/".startswith(f"{folder}/")


def _refused(source: str) -> InvalidInput:
    return InvalidInput(
        f"Invalid model version source {source[:200]!r}; give models:/m-…, models:/NAME/VERSION, runs:/RUN_ID/PATH or"
        f" {SCHEME}… of a run or a model that is here"
    )
