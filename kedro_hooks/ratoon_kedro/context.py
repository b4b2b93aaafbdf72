"""What every process of a run must know, and how it gets there: inside the catalog.

Kedro pickles the catalog for worker processes and hands it to the node hooks; environment variables and the state of
hook instances do not survive every start method, the catalog does.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from ratoon.entities import Run
from ratoon.settings import Settings
from ratoon_kedro.options.config import Config
from ratoon_kedro.options.credentials import Credentials
from ratoon_kedro.pipeline_models.config import Plan
from ratoon_kedro.recording.params import Redactor
from ratoon_kedro.switches import CATALOG_KEY, is_tracked


class RunContext(Struct, frozen=True, kw_only=True):
    """What a process needs to write to the run, wherever it was started.

    Attributes:
        run_id: The run.
        settings: Where it is kept.
        run: What was known of it when it began, so that nobody need ask a store that may be away; None to ask.
        config: What the project's ``ratoon.yml`` says.
        folder: The folder that the run's processes share while it goes on; None if there is no place for one.
        log_file: The file in it that they all append their log to; None if no log is kept.
        credentials: What the server asks for; None if the environment or the URI says it, or nobody asks.
        plan: What is kept for the pipeline models that the run ends with.
    """

    run_id: str
    settings: Settings
    run: Run | None = None
    config: Config = Config()
    folder: str | None = None
    log_file: str | None = None
    credentials: Credentials | None = None
    plan: Plan = Plan()

    @property
    def strict(self) -> bool:
        """Whether an error of ratoon ends the run."""
        return self.config.strict

    @property
    def redactor(self) -> Redactor:
        """What takes the secrets out."""
        return redactor_of(self.config.redact)


@cache
def redactor_of(patterns: tuple[str, ...]) -> Redactor:
    """What takes the secrets out that these patterns tell, and those that names give away."""
    return Redactor(patterns)


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
    _project.set(
        Project(
            path=path,
            package=str(getattr(kedro_context, "_package_name", None) or path.name),
            environment=str(kedro_context.env or getattr(loader, "default_run_env", None) or "local"),
            conf_source=_conf_source(path, str(getattr(loader, "conf_source", "") or "")),
            config_loader=loader,
        )
    )


def _conf_source(project: Path, given: str) -> str | None:
    """Where the configuration lies, as ``--conf-source`` takes it in any clone; None for the usual place."""
    from kedro.framework.project import settings

    if not given or Path(given) == project / settings.CONF_SOURCE:
        return None
    path = Path(given)
    return str(path.relative_to(project)) if "://" not in given and path.is_relative_to(project) else given


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
    from ratoon_kedro.carrier import ContextDataset

    catalog[CATALOG_KEY] = ContextDataset(context)


def context_of(catalog: Any) -> RunContext | None:
    """The context of the run that this catalog belongs to; None if the run is not tracked."""
    if not is_tracked(catalog):
        return None
    context = catalog[CATALOG_KEY].load()
    return context if isinstance(context, RunContext) else None
