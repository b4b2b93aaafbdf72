"""The client: the three stores that the settings name, opened when they are needed, and the runs in them."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

from ratoon.artifacts.protocol import ArtifactStore
from ratoon.clock import now_ms
from ratoon.entities import Experiment, Run, RunStatus
from ratoon.errors import AlreadyExists, InvalidInput, NotFound
from ratoon.manager import default_manager, notify
from ratoon.settings import Settings, load_settings, without_password
from ratoon.stores.protocol import Registry, TrackingStore
from ratoon.tracking.context import random_name, surroundings
from ratoon.tracking.run import ActiveRun
from ratoon.tracking.writer import Writer

if TYPE_CHECKING:
    from ratoon.tracking.outbox import Outbox

_RUN_ID = re.compile(r"[0-9a-f]{32}")


class Client:
    """Everything that one place of work keeps: runs, files and registered models.

    Args:
        settings: Where things are; found from the file, the environment and the defaults if None.
        manager: The plugins that open the stores; the installed ones if None.
        given: Single settings that win over the file and the environment, ``tracking_uri`` for example.
    """

    def __init__(
        self, settings: Settings | None = None, *, manager: pluggy.PluginManager | None = None, **given: Any
    ) -> None:
        self.settings = settings or load_settings(**given)
        self.manager = manager or default_manager()
        self._stores: dict[str, Any] = {}
        self._writer: Writer | None = None
        self._lock = threading.RLock()

    @property
    def tracking(self) -> TrackingStore:
        """The store of runs."""
        store: TrackingStore = self._once("open_tracking_store", "tracking URI", self.settings.tracking_uri)
        return store

    @property
    def registry(self) -> Registry:
        """The store of registered models."""
        store: Registry = self._once("open_registry", "registry URI", self.settings.registry_uri)
        return store

    @property
    def artifacts(self) -> ArtifactStore:
        """The store of files."""
        store: ArtifactStore = self._once("open_artifact_store", "artifact root", self.settings.artifact_root)
        return store

    @property
    def writer(self) -> Writer:
        """The thread that writes what runs log."""
        if self._writer is None:
            store = self.tracking
            with self._lock:
                self._writer = self._writer or Writer(store)
        return self._writer

    @property
    def outbox(self) -> Outbox | None:
        """What waits for the server that the tracking URI names; None if it names none."""
        return getattr(self.tracking, "outbox", None)

    def experiment(self, name: str) -> Experiment:
        """The experiment of a name, created if there is none."""
        found = self.tracking.find_experiment(name)
        if found is None:
            try:
                return self.tracking.create_experiment(name)
            except AlreadyExists:  # somebody else was faster
                found = self.tracking.find_experiment(name)
        if found is None:
            raise NotFound(f"experiment {name!r} vanished while it was opened; try again")
        return found

    def start_run(
        self,
        *,
        experiment: str | None = None,
        run_name: str | None = None,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        parent_run_id: str | None = None,
    ) -> ActiveRun:
        """Start a run, or go on with one.

        Args:
            experiment: Name of the experiment, created if there is none; the settings' if None.
            run_name: A name for people; a random one if None.
            run_id: 32 hexadecimal digits. A run that exists under this id is resumed, else it is created under it.
            tags: Tags beside those that describe the surroundings.
            parent_run_id: The run that this one is a part of.

        Raises:
            InvalidInput: The run id has another form, or a name or a tag cannot be stored.
        """
        if run_id is not None and not _RUN_ID.fullmatch(run_id):
            raise InvalidInput(
                f"run id {run_id!r} is not allowed; give 32 hexadecimal digits, uuid.uuid4().hex for example"
            )
        all_tags = dict(tags or {}) | ({"mlflow.parentRunId": parent_run_id} if parent_run_id else {})
        run = self._resume(run_id, all_tags) if run_id else None
        if run is None:
            run = self._create(experiment, run_name, run_id, all_tags)
        notify(self.manager, "run_started", run=run)
        return ActiveRun(self, run)

    def attach(self, run: str | Run) -> ActiveRun:
        """Write to a run that somebody else started and will end.

        Args:
            run: Its id, or the run as a process with the same settings started it: then the store need not be there.

        Raises:
            NotFound: No run has this id.
        """
        if isinstance(run, str):
            return ActiveRun(self, self.tracking.get_run(run))
        if (know_run := getattr(self.tracking, "know_run", None)) is not None:
            know_run(run, self.settings.experiment)
        return ActiveRun(self, run)

    def close(self) -> None:
        """Make durable what waits to be written."""
        if self._writer is not None:
            self._writer.drain()

    def _create(self, experiment: str | None, run_name: str | None, run_id: str | None, tags: Mapping[str, str]) -> Run:
        home = self.experiment(experiment or self.settings.experiment)
        run_id, run_name = run_id or uuid.uuid4().hex, run_name or random_name()
        return self.tracking.create_run(
            Run(
                run_id=run_id,
                run_name=run_name,
                experiment_id=home.experiment_id,
                user_id=self.settings.user,
                status=RunStatus.RUNNING,
                start_time=now_ms(),
                artifact_uri=f"{home.artifact_location}/{run_id}/artifacts",
                tags={**surroundings(self.settings.user), "mlflow.runName": run_name, **tags},
            )
        )

    def _resume(self, run_id: str, tags: Mapping[str, str]) -> Run | None:
        try:
            run = self.tracking.update_run(run_id, status=RunStatus.RUNNING)
        except NotFound:
            return None
        resumed = ActiveRun(self, run)
        resumed.set_tags(tags)
        resumed.flush()
        return self.tracking.get_run(run_id)

    def _once(self, hook: str, what: str, uri: str) -> Any:
        """Open a store when it is first needed, whichever thread that is."""
        if hook not in self._stores:
            with self._lock:
                if hook not in self._stores:
                    self._stores[hook] = self._open(hook, what, uri)
        return self._stores[hook]

    def _open(self, hook: str, what: str, uri: str) -> Any:
        store = getattr(self.manager.hook, hook)(uri=uri)
        if store is None:
            shown = without_password(uri)
            raise InvalidInput(f"{what} '{shown}' is opened by no plugin; correct it, or install one that knows it")
        return self._steady(hook, store)

    def _steady(self, hook: str, store: Any) -> Any:
        """A store that goes on while its server is away, if it has one."""
        address = getattr(store, "address", None)
        if address is None or hook == "open_registry":
            return store
        from ratoon.tracking.outage import SteadyArtifactStore, SteadyTrackingStore
        from ratoon.tracking.outbox import Outbox

        if hook == "open_tracking_store":
            folder, limit = self.settings.home / "spool", self.settings.spool_limit
            return SteadyTrackingStore(Outbox(folder, store, self._files, limit))
        steady = self.tracking
        if isinstance(steady, SteadyTrackingStore) and steady.outbox.tracking.address == address:
            return SteadyArtifactStore(store, steady)
        return store

    def _files(self) -> ArtifactStore:
        """The store of files as the plugin opened it."""
        store: ArtifactStore = self.manager.hook.open_artifact_store(uri=self.settings.artifact_root)
        return store
