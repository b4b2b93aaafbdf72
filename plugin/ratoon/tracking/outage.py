"""Stores that go on while their server is away: what is written is kept and sent later, what is read fails.

A run that starts meanwhile is made here. The id of its experiment is not known then: a stand-in takes its place, and
gives way to the real one when the run is sent.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, BinaryIO

import msgspec

from ratoon.artifacts.paths import check_path
from ratoon.artifacts.protocol import ArtifactStore
from ratoon.clock import now_ms
from ratoon.entities import (
    Artifact,
    DatasetInput,
    Experiment,
    Model,
    ModelOutput,
    ModelStatus,
    Run,
    RunBatch,
    RunStatus,
)
from ratoon.errors import NotFound, StoreUnavailable
from ratoon.stores.protocol import Tags
from ratoon.tracking.locations import SCHEME
from ratoon.tracking.outbox import Outbox
from ratoon.tracking.records import (
    BatchLogged,
    FileLogged,
    InputsLogged,
    ModelCreated,
    ModelFinalized,
    OutputsLogged,
    RunStarted,
    RunUpdated,
)

STAND_IN = "spooled-"
MOST_REMEMBERED = 1000

logger = logging.getLogger(__name__)


class SteadyTrackingStore:
    """A tracking store whose server may go away. See :class:`ratoon.stores.protocol.TrackingStore` for each method.

    What is not named here goes to the server as it is.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self._store = outbox.tracking
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._models: dict[str, Model] = {}
        self._experiments: dict[str, Experiment] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._store, name)

    def create_experiment(self, name: str, tags: Tags | None = None, **options: Any) -> Experiment:
        """Create an experiment; AlreadyExists if the name is taken."""
        made = self._store.create_experiment(name, tags, **options)
        self._experiments[made.experiment_id] = made
        return made

    def find_experiment(self, name: str) -> Experiment | None:
        """Read an experiment; a stand-in for it while a server is away that takes ids made here."""
        try:
            found = self._store.find_experiment(name)
        except StoreUnavailable as error:
            known = [each for each in self._experiments.values() if each.name == name]
            return known[0] if known else self._stand_in(name, error)
        if found is not None:
            self._experiments[found.experiment_id] = found
        return found

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Read an experiment, or what is known of it while the server is away."""
        known = self._experiments.get(experiment_id) or self._of_a_run(experiment_id)
        try:
            if known is None or not experiment_id.startswith(STAND_IN):
                return self._store.get_experiment(experiment_id)
            return self._store.find_experiment(known.name) or known
        except StoreUnavailable:
            if known is None:
                raise
            return known

    def create_run(self, run: Run) -> Run:
        """Store a new run, or keep it if the server takes it later under this id."""
        name = self.name_of(run.experiment_id)
        if name is None:
            try:
                made = self._seen(self._store.create_run(run))
                self.outbox.remember()
                return made
            except StoreUnavailable as error:
                self._check_start(error)
        self.outbox.keep(RunStarted(run=run, experiment=name))
        logger.warning("run '%s' is kept in %s until its server is back", run.run_id, self.outbox.spool.path)
        return self._seen(run)

    def get_run(self, run_id: str) -> Run:
        """Read a run; one that waits to be sent is known from its beginning only."""
        try:
            return self._seen(self._store.get_run(run_id))
        except (StoreUnavailable, NotFound):
            found = self._waiting_run(run_id)
            if found is None:
                raise
            return self._seen(found)

    def know_run(self, run: Run, experiment: str) -> None:
        """Take over a run that another process of this machine began, perhaps while the server was away.

        Args:
            run: As it was then.
            experiment: What its experiment is likely to be called: a stand-in for its id does not tell.
        """
        if run.experiment_id == _stand_in_for(experiment):
            self._know_stand_in(experiment)
        elif run.experiment_id.startswith(STAND_IN):
            self._waiting_run(run.run_id)
        self._seen(run)

    def update_run(
        self, run_id: str, *, status: RunStatus | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> Run:
        """Change what is given, now or later.

        NotFound for a run that is not known here while the server is away: whoever resumes it creates it then, which
        the server will answer with the run that it has.
        """
        known = self._runs.get(run_id)
        changes = {"status": status, "end_time": end_time, "run_name": run_name}
        ends = status is not None and status != RunStatus.RUNNING
        if ends or self.outbox.spool.pending:
            self.outbox.settle()
        if known is None:
            try:
                resumed = self._seen(self._store.update_run(run_id, **changes))  # type: ignore[arg-type]
                self.outbox.remember()
                return resumed
            except StoreUnavailable as error:
                self._check_start(error)
                raise NotFound(f"run '{run_id}' is not known while its server is away ({error})") from error
        record = RunUpdated(run_id=run_id, **changes)  # type: ignore[arg-type]
        found = self.outbox.write(record, lambda: self._store.update_run(run_id, **changes))  # type: ignore[arg-type]
        if found is not None:
            return self._seen(found)
        if ends:
            logger.warning(
                "run '%s' ended while %s is away; what it logged is kept in %s and is sent by the next process that"
                " works with this server, or by 'ratoon sync'",
                run_id,
                self._store.address,
                self.outbox.spool.path,
            )
        given = {key: value for key, value in changes.items() if value is not None}
        return self._seen(msgspec.structs.replace(known, **given))

    def log_batch(self, batch: RunBatch) -> None:
        """Write a batch, now or later."""
        self.outbox.write(BatchLogged(batch=batch), lambda: self._store.log_batch(batch))

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput], model_ids: Sequence[str] = ()) -> None:
        """Record datasets and models that the run used, now or later."""
        record = InputsLogged(run_id=run_id, inputs=tuple(inputs), model_ids=tuple(model_ids))
        self.outbox.write(record, lambda: self._store.log_inputs(run_id, inputs, model_ids))

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Record models that the run produced, now or later."""
        record = OutputsLogged(run_id=run_id, models=tuple(models))
        self.outbox.write(record, lambda: self._store.log_outputs(run_id, models))

    def create_model(self, model: Model) -> Model:
        """Store a model, or keep it if the server takes it later under this id."""
        name = self.name_of(model.experiment_id)
        if name is None and not self.outbox.spool.pending:
            try:
                return self._store.create_model(model)
            except StoreUnavailable as error:
                self._check_start(error)
        self.outbox.keep(ModelCreated(model=model, experiment=name))
        self._models[model.model_id] = model
        return model

    def finalize_model(self, model_id: str, status: ModelStatus) -> Model:
        """Say whether the model's files are complete, now or later."""
        known = self._models.get(model_id)
        if known is None:
            return self._store.finalize_model(model_id, status)
        record = ModelFinalized(model_id=model_id, status=status)
        found = self.outbox.write(record, lambda: self._store.finalize_model(model_id, status))
        return found or msgspec.structs.replace(known, status=status, last_updated_timestamp=now_ms())

    def name_of(self, experiment_id: str) -> str | None:
        """The name of the experiment that a stand-in stands for; None for a real id."""
        if not experiment_id.startswith(STAND_IN):
            return None
        return self._experiments[experiment_id].name if experiment_id in self._experiments else None

    def _of_a_run(self, experiment_id: str) -> Experiment | None:
        """What a run that is known says about its experiment."""
        for run in self._runs.values():
            end = f"/{run.run_id}/artifacts"
            if run.experiment_id == experiment_id and run.artifact_uri.endswith(end):
                return _experiment(experiment_id, "", run.artifact_uri.removesuffix(end))
        return None

    def _stand_in(self, name: str, error: StoreUnavailable) -> Experiment:
        self._check_start(error)
        return self._know_stand_in(name)

    def _know_stand_in(self, name: str) -> Experiment:
        number = _stand_in_for(name)
        self._experiments[number] = _experiment(number, name, f"{SCHEME}{number}")
        return self._experiments[number]

    def _check_start(self, error: StoreUnavailable) -> None:
        """Nothing can begin here unless the server takes the id under which it begins."""
        if not self.outbox.takes_ids():
            raise StoreUnavailable(
                f"{error}; without it only what has begun goes on, since a server that is not ratoon's, or has never"
                " answered here, gives runs ids of its own"
            ) from error

    def _seen(self, run: Run) -> Run:
        self._runs[run.run_id] = run
        while len(self._runs) > MOST_REMEMBERED:
            self._runs.popitem(last=False)
        return run

    def _waiting_run(self, run_id: str) -> Run | None:
        """A run that another process of this machine began while the server was away."""
        for record, _ in self.outbox.spool.waiting():
            if isinstance(record, RunStarted) and record.run.run_id == run_id:
                if record.experiment is not None:
                    self._stand_in(record.experiment, StoreUnavailable("its server is away"))
                return record.run
        return None


class SteadyArtifactStore:
    """An artifact store whose server may go away. See :class:`ratoon.artifacts.protocol.ArtifactStore`."""

    def __init__(self, store: ArtifactStore, tracking: SteadyTrackingStore) -> None:
        self._store = store
        self._tracking = tracking
        self._outbox = tracking.outbox

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._store, name)

    def write(self, path: str, stream: BinaryIO) -> Artifact:
        """Send a file, or keep it until the server is back; a stream that cannot go back is sent or fails."""
        check_path(path)
        begin = stream.tell() if stream.seekable() else None
        name = self._tracking.name_of(path.partition("/")[0])
        if begin is None or (name is None and not self._outbox.spool.pending):
            try:
                return self._store.write(path, stream)
            except StoreUnavailable:
                if begin is None:
                    raise
                stream.seek(begin)
        content = self._outbox.spool.keep_file(stream)
        size = (self._outbox.spool.files / content).stat().st_size
        self._outbox.keep(FileLogged(path=path, content=content, experiment=name))
        return Artifact(path=path, file_size=size)


def _stand_in_for(name: str) -> str:
    return STAND_IN + hashlib.sha256(name.encode()).hexdigest()[:16]


def _experiment(experiment_id: str, name: str, location: str) -> Experiment:
    now = now_ms()
    return Experiment(
        experiment_id=experiment_id, name=name, artifact_location=location, creation_time=now, last_update_time=now
    )
