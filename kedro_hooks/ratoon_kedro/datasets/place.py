"""Where a dataset reads and writes: the run it was bound to, the only run that is open, or the project's stores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kedro.io import AbstractDataset

from ratoon.errors import StoreError
from ratoon_kedro.datasets.binding import Binding

if TYPE_CHECKING:
    from pluggy import PluginManager

    from ratoon.tracking.client import Client
    from ratoon.tracking.run import ActiveRun
    from ratoon_kedro.options.project_store import ProjectStore
    from ratoon_kedro.state import Tracked


class Place:
    """The stores, opened when they are needed, and the run to log to.

    Args:
        run: The run; None where nothing is tracked.
        client: The run's stores; the project's if None.
        saving_model: Held while a model is saved.

    Attributes:
        run: The run; None where nothing is tracked.
        saving_model: Held while a model is saved.
    """

    def __init__(
        self,
        run: ActiveRun | None = None,
        client: Client | None = None,
        saving_model: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.run = run
        self.saving_model = saving_model or nullcontext()
        self._client = client
        self._experiment: str | None = None

    @property
    def manager(self) -> PluginManager:
        """The plugins; asking for them opens no store and reads no configuration."""
        from ratoon.manager import default_manager

        return self._client.manager if self._client is not None else default_manager()

    @property
    def client(self) -> Client:
        """The stores of the run or, without one, of the project."""
        if self._client is None:
            from ratoon.tracking.client import Client

            store = project_store()
            self._client = Client(store.settings) if store else Client()
            self._experiment = store.experiment if store else None
        return self._client

    def experiment_id(self) -> str | None:
        """Where to look for what earlier runs left; None if that experiment does not exist yet."""
        if self.run is not None:
            return self.run.experiment_id
        found = self.client.tracking.find_experiment(self._experiment or self.client.settings.experiment)
        return found.experiment_id if found else None

    def close(self) -> None:
        """Close what was opened here."""
        if self._client is not None:
            self._client.close()


class RunDataset(AbstractDataset[Any, Any]):
    """The part that all datasets of ours share.

    Nothing that is open is kept in it, so that it can be pickled and copied.
    """

    _RATOON: ClassVar[str]
    _binding: Binding | None = None
    _name: str | None = None
    _credentials: Mapping[str, str] | None = None

    def bind(self, binding: Binding) -> None:
        """Take note of the run and of the dataset's name."""
        self._binding, self._name = binding, binding.name

    def call(self, name: str) -> None:
        """Take note of the dataset's name, where there is no run yet or never will be."""
        self._name = name

    def _place(self) -> AbstractContextManager[Place]:
        return open_place(self._binding, self._credentials)

    @contextmanager
    def _place_to_save(self) -> Iterator[Place]:
        """The place; one without a run if the run's store is away and the pipeline shall go on."""
        with ExitStack() as stack:
            try:
                place = stack.enter_context(self._place())
            except StoreError as error:
                self._forgive(f"keep dataset {self._name!r} with the run", error)
                place = Place()
            yield place

    def _forgive(self, doing: str, error: StoreError, *, kept: bool = False) -> None:
        """Warn that the run lacks something; raise the error if the project is strict.

        Without a pipeline that is run it is raised, too, unless what was saved is ``kept`` elsewhere.
        """
        if self._binding is None and not kept:
            raise error
        from ratoon_kedro.guarding import guard

        with guard(doing, self._binding.context if self._binding else None):
            raise error


@contextmanager
def open_place(binding: Binding | None, credentials: Mapping[str, str] | None = None) -> Iterator[Place]:
    """Open what a dataset works with; what was opened for this occasion is closed afterwards."""
    from ratoon_kedro.state import known_run, owned_runs, tracked_run

    tracked: Tracked | None = None
    if binding is None:
        open_here = owned_runs()
        tracked = known_run(open_here[0]) if len(open_here) == 1 else None
    elif known_run(binding.context.run_id) or multiprocessing.parent_process() is not None:
        tracked = tracked_run(binding.context)
    if tracked is not None:
        yield Place(tracked.run, tracked.client, tracked.saving_model)
        return
    _show(credentials)
    place = Place() if binding is None else _attached(binding)
    try:
        yield place
    finally:
        place.close()


def _attached(binding: Binding) -> Place:
    """The run of the dataset after it is over in this process, or while it goes on in another one."""
    from ratoon.tracking.client import Client

    client = Client(binding.context.settings)
    return Place(client.attach(binding.context.run_id), client)


def project_store() -> ProjectStore | None:
    """What the project in or above the working folder says about its stores; None where there is no project."""
    from kedro.framework.startup import _get_project_metadata
    from kedro.utils import find_kedro_project

    from ratoon_kedro.context import current_project
    from ratoon_kedro.options.project_store import store_of

    project = current_project({})
    known = bool(project.config_loader)
    root = project.path if known else find_kedro_project(Path.cwd())
    if root is None:
        return None
    env = project.environment if known else os.environ.get("KEDRO_ENV")
    return store_of(_get_project_metadata(root), env or None)


def _show(credentials: Mapping[str, str] | None) -> None:
    if credentials:
        from ratoon_kedro.options.credentials import Credentials, use_credentials

        use_credentials(Credentials(**credentials))
