"""Copying a version into another registry: its files byte for byte, what is said about it, where it came from."""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from ratoon.artifacts.paths import join
from ratoon.clock import now_ms
from ratoon.entities import Model, ModelStatus, ModelVersion, Query
from ratoon.errors import Corrupt, InvalidInput
from ratoon.models.digests import IGNORED, verify_manifest
from ratoon.registry.approvals import is_approval
from ratoon.registry.contender import EVALUATION_RUN
from ratoon.registry.promotion import set_alias
from ratoon.settings import Settings, load_settings, without_password
from ratoon.stores.grammar import quoted
from ratoon.tracking.client import Client
from ratoon.tracking.files import files_below
from ratoon.tracking.locations import artifact_key
from ratoon.tracking.models import download_model, register_model, resolve_version

PREFIX = "ratoon.source"
DIGEST = f"{PREFIX}.digest"


class Copied(Struct, frozen=True, kw_only=True):
    """What became of a copy.

    Attributes:
        version: The version in the target.
        digest: The SHA-256 over the names and digests of all files.
        made: Whether it is new; False if the target had these files as a copy already.
        alias: The alias that was given to it; None if none was asked for, or it held it already.
    """

    version: ModelVersion
    digest: str
    made: bool
    alias: str | None = None


def settings_of_target(
    source: Settings, tracking_uri: str, *, registry_uri: str | None = None, artifact_root: str | None = None
) -> Settings:
    """The settings of the place that is copied to: neither file nor environment of this one decide about it.

    Raises:
        InvalidInput: Where files are kept does not follow from the tracking URI.
    """
    if artifact_root is None:
        if not tracking_uri.startswith(("sqlite:///", "http://", "https://", "memory:")):
            raise InvalidInput(
                f"'{without_password(tracking_uri)}' does not say where files are kept; name it with --to-artifacts"
            )
        is_file = tracking_uri.startswith("sqlite:///")
        database = Path(tracking_uri.removeprefix("sqlite:///"))
        artifact_root = str(database.parent / "artifacts") if is_file else tracking_uri
    return load_settings(
        environ={},
        tracking_uri=tracking_uri,
        registry_uri=registry_uri or tracking_uri,
        artifact_root=artifact_root,
        experiment=source.experiment,
        user=source.user,
    )


def copy_version(
    source: Client, uri: str, target: Client, *, name: str | None = None, alias: str | None = None
) -> Copied:
    """Copy a version of a registered model into another registry.

    Args:
        source: Where it is.
        uri: ``models:/name@alias`` or ``models:/name/3``.
        target: Where it is to go: files, too.
        name: The name there; the same if None.
        alias: An alias to give to it there. No gate is asked: to ask them, promote it there.

    Raises:
        InvalidInput: The URI names no version.
        Corrupt: A file is not what was saved, here or after the transfer.
    """
    version = resolve_version(source, uri)
    if version is None:
        raise InvalidInput(f"model URI '{uri}' names no version; give models:/NAME@ALIAS or models:/NAME/VERSION")
    name = name or version.name
    with tempfile.TemporaryDirectory(prefix="ratoon-copy-") as scratch:
        folder = download_model(source, f"models:/{version.name}/{version.version}", Path(scratch))
        verify_manifest(folder)
        digest = folder_digest(folder)
        made = _existing(target, name, digest)
        copied = made or _new(target, name, folder, _said(source, version) | {DIGEST: digest}, version.description)
    moved = alias is not None and _give(target, copied, alias, uri)
    copied = target.registry.get_version(name, copied.version)
    return Copied(version=copied, digest=digest, made=made is None, alias=alias if moved else None)


def folder_digest(folder: Path) -> str:
    """The SHA-256 over the names and digests of all files that belong to a model."""
    digests = {}
    for path in files_below(folder):
        relative = path.relative_to(folder).as_posix()
        if relative not in IGNORED:
            digests[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _existing(target: Client, name: str, digest: str) -> ModelVersion | None:
    """The version that is a copy of the same files already."""
    query = Query(filter=f"name = {quoted(name)} AND tags.`{DIGEST}` = '{digest}'", limit=1)
    return next(iter(target.registry.search_versions(query).items), None)


def _new(target: Client, name: str, folder: Path, tags: Mapping[str, str], description: str) -> ModelVersion:
    model = _upload(folder, target, name)
    return register_model(f"models:/{model.model_id}", name, client=target, tags=tags, description=description)


def _said(source: Client, version: ModelVersion) -> dict[str, str]:
    """The tags of a version that hold elsewhere, too, and where it came from: approvals are given anew there."""
    kept = {key: value for key, value in version.tags.items() if not is_approval(key) and key != EVALUATION_RUN}
    origin = {
        "registry": without_password(source.settings.registry_uri),
        "name": version.name,
        "version": str(version.version),
        "run_id": version.run_id,
        "model_id": version.model_id,
        "user": version.user_id,
    }
    return kept | {f"{PREFIX}.{key}": value for key, value in origin.items() if value}


def _upload(folder: Path, target: Client, name: str) -> Model:
    """Store the files as a model of the target that no run there produced."""
    experiment, now, model_id = target.experiment(target.settings.experiment), now_ms(), f"m-{uuid.uuid4().hex}"
    model = target.tracking.create_model(
        Model(
            model_id=model_id,
            experiment_id=experiment.experiment_id,
            name=name,
            source_run_id=None,
            artifact_uri=f"{experiment.artifact_location}/models/{model_id}/artifacts",
            status=ModelStatus.PENDING,
            creation_timestamp=now,
            last_updated_timestamp=now,
        )
    )
    try:
        root = artifact_key(model.artifact_uri)
        for path in files_below(folder):
            _store(path, target, join(root, path.relative_to(folder).as_posix()))
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell
            target.tracking.finalize_model(model.model_id, ModelStatus.FAILED)
        raise
    return target.tracking.finalize_model(model.model_id, ModelStatus.READY)


def _store(path: Path, target: Client, key: str) -> None:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        target.artifacts.write(key, stream)
    arrived = hashlib.sha256()
    for chunk in target.artifacts.read(key):
        arrived.update(chunk)
    if arrived.hexdigest() != digest:
        raise Corrupt(f"file '{key}' arrived changed at '{target.settings.artifact_root}'; copy the model again")


def _give(target: Client, copied: ModelVersion, alias: str, uri: str) -> bool:
    if target.registry.get_registered_model(copied.name).aliases.get(alias) == copied.version:
        return False
    set_alias(target, copied.name, alias, copied.version, reason=f"copied from {uri}")
    return True
