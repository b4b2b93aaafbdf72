"""What a spool holds: one value for each write that a server could not take, and how it is made up for.

Each can be made up for twice without harm: the server drops a point, a param and a run that it has already.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from ratoon.artifacts.protocol import ArtifactStore
from ratoon.entities import DatasetInput, Experiment, Model, ModelOutput, ModelStatus, Run, RunBatch, RunStatus
from ratoon.errors import AlreadyExists, NotFound
from ratoon.stores.protocol import TrackingStore
from ratoon.tracking.parting import REFUSED, is_whole, write_apart


class RunStarted(Struct, frozen=True, kw_only=True, tag="run-started"):
    """A run that was created here; ``experiment`` is the name of its experiment where its id is not known."""

    run: Run
    experiment: str | None = None


class RunUpdated(Struct, frozen=True, kw_only=True, tag="run-updated"):
    """A run that has another status, end or name."""

    run_id: str
    status: RunStatus | None = None
    end_time: int | None = None
    run_name: str | None = None


class BatchLogged(Struct, frozen=True, kw_only=True, tag="batch-logged"):
    """Metrics, params and tags."""

    batch: RunBatch


class InputsLogged(Struct, frozen=True, kw_only=True, tag="inputs-logged"):
    """Datasets and models that a run used."""

    run_id: str
    inputs: tuple[DatasetInput, ...]
    model_ids: tuple[str, ...] = ()


class OutputsLogged(Struct, frozen=True, kw_only=True, tag="outputs-logged"):
    """Models that a run produced."""

    run_id: str
    models: tuple[ModelOutput, ...]


class ModelCreated(Struct, frozen=True, kw_only=True, tag="model-created"):
    """A model; ``experiment`` is the name of its experiment where its id is not known."""

    model: Model
    experiment: str | None = None


class ModelFinalized(Struct, frozen=True, kw_only=True, tag="model-finalized"):
    """A model whose files are complete, or never will be."""

    model_id: str
    status: ModelStatus


class FileLogged(Struct, frozen=True, kw_only=True, tag="file-logged"):
    """A file, kept beside the spool under ``content`` until it is sent.

    Where ``experiment`` is set, the first part of ``path`` stands for the experiment of that name.
    """

    path: str
    content: str
    experiment: str | None = None


Record = (
    RunStarted | RunUpdated | BatchLogged | InputsLogged | OutputsLogged | ModelCreated | ModelFinalized | FileLogged
)

encode = msgspec.msgpack.Encoder().encode  # unlike JSON it has words for NaN and the infinities
decode = msgspec.msgpack.Decoder(Record).decode


class Repeater:
    """Makes up for records, in their order.

    Args:
        tracking: The store that runs are to go to, with nothing that catches an outage before it.
        artifacts: The store that files are to go to.
        folder: Where the contents of files are.
    """

    def __init__(self, tracking: TrackingStore, artifacts: ArtifactStore, folder: Path) -> None:
        self._tracking = tracking
        self._artifacts = artifacts
        self._folder = folder
        self._experiments: dict[str, Experiment] = {}

    def repeat(self, record: Record) -> None:
        """Write a record to the stores.

        Raises:
            StoreUnavailable: The server went away again.
            InvalidInput: The server refuses it, for good. NotFound: so it does, since something was deleted.
        """
        match record:
            case RunStarted() | RunUpdated() | ModelCreated() | ModelFinalized():
                self._repeat_change(record)
            case BatchLogged():
                self._log(record.batch)
            case InputsLogged():
                self._tracking.log_inputs(record.run_id, record.inputs, record.model_ids)
            case OutputsLogged():
                self._tracking.log_outputs(record.run_id, record.models)
            case FileLogged():
                self._send(record)

    def _repeat_change(self, record: RunStarted | RunUpdated | ModelCreated | ModelFinalized) -> None:
        match record:
            case RunStarted():
                self._tracking.create_run(self._placed_run(record))
            case RunUpdated():
                self._tracking.update_run(
                    record.run_id, status=record.status, end_time=record.end_time, run_name=record.run_name
                )
            case ModelCreated():
                self._create_model(record)
            case ModelFinalized():
                self._tracking.finalize_model(record.model_id, record.status)

    def _log(self, batch: RunBatch) -> None:
        try:
            self._tracking.log_batch(batch)
        except REFUSED as error:
            if is_whole(batch, error):
                raise
            left = write_apart(batch, self._tracking.log_batch)
            for _, cause in left:
                if not isinstance(cause, REFUSED):  # the server went away: all of it once more, later
                    raise cause from error
            if left:
                raise left[-1].error from error

    def _create_model(self, record: ModelCreated) -> None:
        model = record.model
        if record.experiment is not None:
            model = msgspec.structs.replace(model, experiment_id=self._experiment(record.experiment).experiment_id)
        try:
            self._tracking.get_model(model.model_id)  # sent before, and the answer was lost
        except NotFound:
            self._tracking.create_model(model)

    def _placed_run(self, record: RunStarted) -> Run:
        if record.experiment is None:
            return record.run
        home = self._experiment(record.experiment)
        uri = f"{home.artifact_location}/{record.run.run_id}/artifacts"
        return msgspec.structs.replace(record.run, experiment_id=home.experiment_id, artifact_uri=uri)

    def _send(self, record: FileLogged) -> None:
        path = record.path
        if record.experiment is not None:
            path = f"{self._experiment(record.experiment).experiment_id}/{path.partition('/')[2]}"
        try:
            with open(self._folder / record.content, "rb") as file:
                self._artifacts.write(path, file)
        except FileNotFoundError as error:
            raise NotFound(f"artifact '{path}' is lost (its content beside the spool is gone); log it again") from error

    def _experiment(self, name: str) -> Experiment:
        if name not in self._experiments:
            found = self._tracking.find_experiment(name)
            if found is None:
                try:
                    found = self._tracking.create_experiment(name)
                except AlreadyExists:  # somebody else was faster
                    found = self._tracking.find_experiment(name)
            if found is None:
                raise NotFound(f"experiment {name!r} vanished while it was opened")
            self._experiments[name] = found
        return self._experiments[name]
