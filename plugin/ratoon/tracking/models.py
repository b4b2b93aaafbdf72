"""The way of a model: from a run into the stores, to a version, and back into memory."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratoon.artifacts.paths import check_path, join
from ratoon.clock import now_ms
from ratoon.entities import Model, ModelStatus, ModelVersion
from ratoon.errors import AlreadyExists, NotFound
from ratoon.manager import notify
from ratoon.stores.limits import check_model_name, check_name
from ratoon.tracking.client import Client
from ratoon.tracking.files import files_below, size_of
from ratoon.tracking.locations import ModelUri, artifact_key, parse_model_uri
from ratoon.tracking.progress import Transfer
from ratoon.tracking.run import ActiveRun

if TYPE_CHECKING:
    from ratoon.models.loading import LoadedModel
    from ratoon.models.signature import Signature
    from ratoon.models.trust import Trust


def log_model(
    run: ActiveRun,
    model: object,
    name: str = "model",
    *,
    flavor: str | None = None,
    input_example: object | None = None,
    signature: Signature | None = None,
    register_as: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Model:
    """Package a model, store its files and record that the run produced it.

    Args:
        run: The run that made it.
        model: An object that some flavor recognises.
        name: The name under which ``runs:/<run_id>/<name>`` finds it.
        flavor: The flavor to save it with; found by asking all of them if None.
        input_example: A few rows that the model can be called with; the signature is inferred from them.
        signature: What the model takes and gives; wins over the example's.
        register_as: A registered model to make a version of; created if there is none.
        metadata: What else is to be kept with it.

    Raises:
        InvalidInput: No flavor recognises the model, or the example cannot be predicted.
    """
    from ratoon.models.saving import save_model

    client, model_id, now = run.client, f"m-{uuid.uuid4().hex}", now_ms()
    check_name("model", check_path(name))
    if register_as is not None:
        check_model_name(register_as)
    experiment = client.tracking.get_experiment(run.experiment_id)
    record = client.tracking.create_model(
        Model(
            model_id=model_id,
            experiment_id=run.experiment_id,
            name=name,
            source_run_id=run.run_id,
            artifact_uri=f"{experiment.artifact_location}/models/{model_id}/artifacts",
            status=ModelStatus.PENDING,
            creation_timestamp=now,
            last_updated_timestamp=now,
        )
    )
    model_id = record.model_id  # MLflow's server gives one of its own
    try:
        with tempfile.TemporaryDirectory(prefix="ratoon-model-") as scratch:
            folder = Path(scratch) / "model"
            save_model(
                model,
                folder,
                manager=client.manager,
                flavor=flavor,
                input_example=input_example,
                signature=signature,
                metadata=metadata,
                model_id=model_id,
                run_id=run.run_id,
                artifact_path=record.artifact_uri,
            )
            _upload(client, folder, record)
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell
            client.tracking.finalize_model(model_id, ModelStatus.FAILED)
        raise
    record = client.tracking.finalize_model(model_id, ModelStatus.READY)
    if register_as is not None:
        register_model(f"models:/{model_id}", register_as, client=client)
    return record


def register_model(
    uri: str,
    name: str,
    *,
    client: Client | None = None,
    tags: Mapping[str, str] | None = None,
    description: str = "",
) -> ModelVersion:
    """Make a new version of a registered model, which is created if there is none, from a logged one.

    Args:
        uri: ``runs:/<run_id>/<name>``, ``models:/m-<id>``, or a version of another model.
        name: The registered model.
        client: Where to register; a client of the settings if None.
        tags: Tags of the version.
        description: What a person should know about the version.
    """
    client = client or Client()
    name = check_model_name(name)
    model = logged_model(client, parse_model_uri(uri))
    if model.status != ModelStatus.READY:
        raise NotFound(f"model '{model.model_id}' has no complete files (its status is {model.status}); log it again")
    with suppress(AlreadyExists):
        client.registry.create_registered_model(name)
    version = client.registry.create_version(
        ModelVersion(
            name=name,
            version=0,
            source=f"models:/{model.model_id}",
            creation_timestamp=0,
            last_updated_timestamp=0,
            run_id=model.source_run_id,
            model_id=model.model_id,
            user_id=client.settings.user,
            description=description,
            tags=dict(tags or {}),
        )
    )
    notify(client.manager, "version_registered", version=version)
    return version


def load_model(uri: str, *, trust: Trust = None, client: Client | None = None) -> LoadedModel:
    """Load a model for prediction; its files are verified first.

    Args:
        uri: ``models:/name@alias``, ``models:/name/3``, ``models:/m-<id>``, ``runs:/<run_id>/<name>`` or a folder.
        trust: What loading may run beyond data: None for nothing, ``"code"``, or a list of type names. None means
            anything for versions of a registry that the setting ``trusted_registries`` names.
        client: Where to look; a client of the settings if None.

    Raises:
        NotFound: There is no such model. Corrupt: its files are not those that were saved. Untrusted: loading would
            run code that ``trust`` does not allow.
    """
    from ratoon.models.loading import load_folder

    client = client or Client()
    trust = trust_for(client, uri, trust)
    if ":/" not in uri:
        return load_folder(Path(uri), manager=client.manager, trust=trust)
    with tempfile.TemporaryDirectory(prefix="ratoon-model-") as scratch:
        return load_folder(download_model(client, uri, Path(scratch)), manager=client.manager, trust=trust)


def trust_for(client: Client, uri: str, trust: Trust) -> Trust:
    """What loading may run where the caller did not say: anything for a version of a trusted registry, else nothing.

    A logged model that nobody registered is none of the registry's.
    """
    if trust is not None or ":/" not in uri or parse_model_uri(uri).name is None:
        return trust
    return "code" if client.settings.registry_is_trusted else None


def download_model(client: Client, uri: str, folder: Path) -> Path:
    """Copy a model's files into a folder; each is verified against its digest."""
    root = artifact_key(logged_model(client, parse_model_uri(uri)).artifact_uri)
    sizes = _sizes_below(client, root)
    with Transfer(uri, sum(sizes.values()), client.settings) as transfer:
        for path in sizes:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as file:
                file.writelines(transfer.passing(client.artifacts.read(join(root, path))))
    return folder


def resolve_version(client: Client, uri: str) -> ModelVersion | None:
    """The version that a URI stands for now; None if it names a run's model or a logged one."""
    if ":/" not in uri:
        return None
    parsed = parse_model_uri(uri)
    return _version(client, parsed) if parsed.name is not None else None


def logged_model(client: Client, uri: ModelUri) -> Model:
    """The logged model that a URI stands for; NotFound if there is none."""
    if uri.run_id is not None:
        return _model_of_run(client, uri.run_id, uri.run_model or "")
    if uri.model_id is not None:
        return client.tracking.get_model(uri.model_id)
    version = _version(client, uri)
    if version.model_id is None:
        raise NotFound(f"version {version.version} of model {version.name!r} has no files here; register it again")
    return client.tracking.get_model(version.model_id)


def _version(client: Client, uri: ModelUri) -> ModelVersion:
    assert uri.name is not None  # the caller looked
    if uri.alias is not None:
        return client.registry.version_by_alias(uri.name, uri.alias)
    number = uri.version
    if number is None:
        number = client.registry.get_registered_model(uri.name).latest_version
    return client.registry.get_version(uri.name, number)


def _model_of_run(client: Client, run_id: str, name: str) -> Model:
    client.tracking.get_run(run_id)
    models = client.tracking.run_models(run_id)
    for model in reversed(models):
        if model.name == name:
            return model
    known = ", ".join(sorted({model.name for model in models})) or "none"
    raise NotFound(f"run '{run_id}' logged no model {name!r} (it logged: {known}); give one of those")


def _upload(client: Client, folder: Path, model: Model) -> None:
    root, paths = artifact_key(model.artifact_uri), list(files_below(folder))
    with Transfer(model.name, size_of(paths), client.settings) as transfer:
        for path in paths:
            with open(path, "rb") as stream:
                place = join(root, path.relative_to(folder).as_posix())
                client.artifacts.write(place, transfer.reading(stream))


def _sizes_below(client: Client, root: str, below: str = "") -> dict[str, int]:
    """The files of a folder and its subfolders, each with its bytes."""
    found: dict[str, int] = {}
    for entry in client.artifacts.list(join(root, below)):
        path = join(below, entry.path)
        found |= _sizes_below(client, root, path) if entry.is_dir else {path: entry.file_size or 0}
    return found
