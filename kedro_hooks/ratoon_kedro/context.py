"""What every process of a run must know, and how it gets there: inside the catalog.

Kedro pickles the catalog for worker processes and hands it to the node hooks; environment variables and the state of
hook instances do not survive every start method, the catalog does.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from ratoon.settings import Settings
from ratoon_kedro.config import Registration
from ratoon_kedro.params import Redactor
from ratoon_kedro.switches import CATALOG_KEY, is_tracked


class RunContext(Struct, frozen=True, kw_only=True):
    """What a process needs to write to the run, wherever it was started."""

    run_id: str
    settings: Settings
    strict: bool = False
    redact: tuple[str, ...] = ()
    register: Mapping[str, Registration] = field(default_factory=dict)

    @property
    def redactor(self) -> Redactor:
        """What takes the secrets out."""
        return Redactor(self.redact)


class Project(Struct, frozen=True, kw_only=True):
    """What Kedro's context says about the project, taken when it was made."""

    path: Path
    package: str
    environment: str
    conf_source: str | None
    config_loader: Any


# Kedro makes the context and starts the pipeline in one thread, and gives the second hook no way to the first.
_project: ContextVar[Project | None] = ContextVar("ratoon_project", default=None)


def remember_project(kedro_context: Any) -> None:
    """Keep what ``before_pipeline_run`` is not told."""
    loader = kedro_context.config_loader
    path = Path(kedro_context.project_path)
    conf_source = str(getattr(loader, "conf_source", "") or "")
    _project.set(
        Project(
            path=path,
            package=str(getattr(kedro_context, "_package_name", None) or path.name),
            environment=str(kedro_context.env or getattr(loader, "default_run_env", None) or "local"),
            conf_source=conf_source if conf_source and Path(conf_source) != path / "conf" else None,
            config_loader=loader,
        )
    )


def current_project(run_params: Mapping[str, Any]) -> Project:
    """The project whose pipeline is about to run in this thread."""
    project = _project.get()
    path = Path(run_params.get("project_path") or (project.path if project else Path.cwd()))
    if project is not None and project.path == path:
        return project
    environment = str(run_params.get("env") or "local")
    return Project(path=path, package=path.name, environment=environment, conf_source=None, config_loader={})


def put_context(catalog: Any, context: RunContext) -> None:
    """Send the context along with the catalog; after this moment nobody lists what is in it."""
    from kedro.io import MemoryDataset

    catalog[CATALOG_KEY] = MemoryDataset(data=context, copy_mode="assign")


def context_of(catalog: Any) -> RunContext | None:
    """The context of the run that this catalog belongs to; None if the run is not tracked."""
    if not is_tracked(catalog):
        return None
    context = catalog[CATALOG_KEY].load()
    return context if isinstance(context, RunContext) else None
