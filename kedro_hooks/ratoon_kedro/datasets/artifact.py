"""A file of the run as a dataset: any other dataset, whose file the run keeps when it is saved."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractDataset, Version

from ratoon.errors import InvalidInput, NotFound, StoreError
from ratoon_kedro.datasets.place import Place, RunDataset
from ratoon_kedro.datasets.plain_file import PlainFile

FOLDER = "kedro/datasets"


class ArtifactDataset(RunDataset):
    """Saves a value by another dataset, and keeps the file that this wrote with the tracked run.

    ``load`` reads the file where the other dataset has it or, with a ``run_id``, as that run kept it. Without a tracked
    run only the other dataset is saved.

    ::

        report:
          type: ratoon_kedro.datasets.ArtifactDataset
          dataset:
            type: json.JSONDataset
            filepath: data/08_reporting/report.json
          versioned: true

    Args:
        dataset: The definition of the other dataset, or the dataset.
        filepath: Instead of it, a file that a node returns as text, as bytes or as the ``Path`` of what it wrote;
            ``load`` gives its path.
        artifact_path: The folder among the run's artifacts; ``kedro/datasets/<name>`` if None.
        run_id: The run to load from.
        version: What Kedro makes of ``versioned`` and ``--load-versions``.
        credentials: What the server of the runs asks for; those of the other dataset are in its own definition.
        metadata: For other plugins.

    Raises:
        InvalidInput: The definition cannot be used.
    """

    _RATOON = "artifact"

    def __init__(
        self,
        *,
        dataset: AbstractDataset | Mapping[str, Any] | None = None,
        filepath: str | None = None,
        artifact_path: str | None = None,
        run_id: str | None = None,
        version: Version | None = None,
        credentials: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        if (dataset is None) == (filepath is None):
            raise InvalidInput("an artifact dataset needs to know its file; give it either dataset or filepath")
        self._definition = {"type": PlainFile, "filepath": filepath} if dataset is None else dataset
        self._dataset = _made(self._definition, version)
        self._artifact_path = artifact_path.strip("/") if artifact_path else None
        self._run_id = run_id
        self._version = version
        self._credentials = credentials
        self.metadata = metadata

    def save(self, data: Any) -> None:
        """Save the other dataset, and keep the file that it wrote."""
        self._dataset.save(data)
        with self._place_to_save() as place:
            if place.run is None:
                return
            try:
                _log(self._dataset, place.run, self._folder)
            except StoreError as error:
                self._forgive(f"keep the file of dataset {self._name!r}", error)

    def load(self) -> Any:
        """What the other dataset loads, from its own file or from the run's."""
        if self._run_id is None:
            return self._dataset.load()
        with tempfile.TemporaryDirectory(prefix="ratoon-artifact-") as scratch, self._place() as place:
            path = _fetch(place, self._run_id, self._kept_as, Path(scratch))
            if isinstance(self._dataset, PlainFile):
                # What is loaded is the file itself: it must not go with this folder.
                target = Path(tempfile.mkdtemp(prefix="ratoon-artifact-")) / path.name
                return path.rename(target)
            return self._elsewhere(path).load()

    @property
    def _folder(self) -> str:
        name = self._name or self._name_of_file
        return self._artifact_path if self._artifact_path is not None else f"{FOLDER}/{name}"

    @property
    def _kept_as(self) -> str:
        return f"{self._folder}/{self._name_of_file}"

    @property
    def _name_of_file(self) -> str:
        return PurePosixPath(_place_of(self._dataset)).name

    def _elsewhere(self, path: Path) -> AbstractDataset:
        """The other dataset with another file."""
        if not isinstance(self._definition, Mapping):
            return self._dataset._copy(_filepath=PurePosixPath(path), _version=None)
        key = next((key for key in ("filepath", "path") if key in self._definition), "filepath")
        return _made({**self._definition, key: str(path)}, None)

    def _exists(self) -> bool:
        if self._run_id is None:
            return bool(self._dataset.exists())
        with self._place() as place:
            return any(_entries(place, self._run_id, self._kept_as))

    def _release(self) -> None:
        self._dataset.release()

    def _describe(self) -> dict[str, Any]:
        # Its keys first: who shows datasets looks for the filepath among them.
        return {
            **self._dataset._describe(),
            "type": f"{type(self._dataset).__module__}.{type(self._dataset).__qualname__}",
            "artifact_path": self._artifact_path,
            "run_id": self._run_id,
        }


def _made(definition: AbstractDataset | Mapping[str, Any], version: Version | None) -> AbstractDataset:
    if isinstance(definition, AbstractDataset):
        return definition
    if "versioned" in definition:
        raise InvalidInput("the dataset of an artifact dataset says 'versioned'; write it beside 'dataset', not in it")
    config = copy.deepcopy(dict(definition))
    if version is None:
        return AbstractDataset.from_config("artifact", config)
    return AbstractDataset.from_config("artifact", {**config, "versioned": True}, version.load, version.save)


def _place_of(dataset: Any) -> str:
    """The path of a dataset's file or folder, without a version."""
    found = getattr(dataset, "_filepath", None) or getattr(dataset, "_path", None)
    if not found:
        raise InvalidInput(
            f"dataset of type {type(dataset).__qualname__!r} has no file that a run could keep; "
            "give one that is saved to a filepath"
        )
    return str(found)


def _log(dataset: Any, run: Any, folder: str) -> None:
    """Keep the file, or the folder, that was saved last."""
    path = _place_of(dataset)
    name = PurePosixPath(path).name
    version = dataset.resolve_save_version() if hasattr(dataset, "resolve_save_version") else None
    if version:
        path = str(dataset._get_versioned_path(version))
    protocol = getattr(dataset, "_protocol", None) or "file"
    if protocol == "file":
        _log_local(Path(path), run, folder, name)
        return
    filesystem = getattr(dataset, "_fs", None) or getattr(dataset, "_filesystem", None)
    if filesystem is None:
        raise InvalidInput(f"file '{path}' cannot be read (its dataset has no filesystem); give a local one")
    with tempfile.TemporaryDirectory(prefix="ratoon-artifact-") as scratch:
        filesystem.get(path, str(Path(scratch, name)), recursive=True)
        _log_local(Path(scratch, name), run, folder, name)


def _log_local(path: Path, run: Any, folder: str, name: str) -> None:
    if path.is_dir():
        run.log_artifacts(path, f"{folder}/{name}")
        return
    with open(path, "rb") as stream:
        run.log_stream(stream, f"{folder}/{name}")


def _entries(place: Place, run_id: str, kept_as: str) -> list[str]:
    """The files that a run kept for a dataset, relative to its place: an empty name for a file."""
    from ratoon.tracking.locations import artifact_key

    root = artifact_key(place.client.tracking.get_run(run_id).artifact_uri)
    parent, _, name = kept_as.rpartition("/")
    listed = {entry.path: entry for entry in place.client.artifacts.list(f"{root}/{parent}".strip("/"))}
    if name not in listed:
        return []
    return _below(place, f"{root}/{kept_as}") if listed[name].is_dir else [""]


def _below(place: Place, folder: str) -> list[str]:
    found = []
    for entry in place.client.artifacts.list(folder):
        inner = _below(place, f"{folder}/{entry.path}") if entry.is_dir else [""]
        found += [f"{entry.path}/{path}".rstrip("/") for path in inner]
    return found


def _fetch(place: Place, run_id: str, kept_as: str, folder: Path) -> Path:
    """Copy what a run kept into a folder."""
    from ratoon.tracking.locations import artifact_key

    paths = _entries(place, run_id, kept_as)
    if not paths:
        raise NotFound(f"file '{kept_as}' of run '{run_id}' is not there; give a run_id or artifact_path that has it")
    root = artifact_key(place.client.tracking.get_run(run_id).artifact_uri)
    top = folder / PurePosixPath(kept_as).name
    for path in paths:
        target = top / path if path else top
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as file:
            file.writelines(place.client.artifacts.read(f"{root}/{kept_as}/{path}".rstrip("/")))
    return top
