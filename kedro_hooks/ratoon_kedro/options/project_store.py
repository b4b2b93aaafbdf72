"""Where the project of a command keeps its runs: what a tracked run of the project would find out for itself."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ratoon.errors import InvalidSetting
from ratoon.settings import Settings
from ratoon_kedro.recording.params import Redactor

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

# What another process is told about the store, as RATOON_<KEY>.
PLACES = ("tracking_uri", "registry_uri", "artifact_root")


class ProjectStore(Struct, frozen=True, kw_only=True):
    """A project and the store of its runs.

    Attributes:
        path: The project's folder.
        package: Its package.
        env: The environment that was asked for; None for the project's own default.
        conf_source: The folder of its configuration.
        settings: Where runs, models and files are kept.
        experiment: The experiment of its runs.
        config_loader: Kedro's.
        redact: Regular expressions of the project's own for parameters that hide a secret.
    """

    path: Path
    package: str
    env: str | None
    conf_source: Path
    settings: Settings
    experiment: str
    config_loader: Any
    redact: tuple[str, ...] = ()

    @property
    def redactor(self) -> Redactor:
        """What takes secrets out of what is written down."""
        return Redactor(self.redact)

    def variables(self) -> dict[str, str]:
        """Environment variables that lead another process to the same store."""
        return {f"RATOON_{key.upper()}": str(getattr(self.settings, key)) for key in PLACES}


def store_of(metadata: ProjectMetadata, env: str | None = None) -> ProjectStore:
    """Read what the project says about its runs; from then on this process shows the project's credentials.

    Args:
        metadata: The project, as Kedro hands it to commands.
        env: The environment whose ``ratoon.yml`` is read; the one that ``kedro run`` would take if None.

    Raises:
        InvalidSetting: ``ratoon.yml`` or the environment cannot be used; the message names file, key and value.
    """
    from kedro.framework.project import settings as kedro_settings

    from ratoon_kedro.options.config import announce, load_config, settings_of
    from ratoon_kedro.options.credentials import find_credentials, use_credentials

    env = env or os.environ.get("KEDRO_ENV") or None
    path = Path(metadata.project_path)
    _check_environment(path / kedro_settings.CONF_SOURCE, env)
    with warnings.catch_warnings():
        # What Kedro's loader thinks of the libraries below it is nothing that a command's user can change.
        warnings.simplefilter("ignore")
        loader = kedro_settings.CONFIG_LOADER_CLASS(
            conf_source=str(path / kedro_settings.CONF_SOURCE), env=env, **kedro_settings.CONFIG_LOADER_ARGS
        )
        announce(loader)
        config = load_config(loader)
        use_credentials(find_credentials(config.credentials, loader))
    package = str(metadata.package_name)
    found = settings_of(path, package, config)
    return ProjectStore(
        path=path,
        package=package,
        env=env,
        conf_source=path / kedro_settings.CONF_SOURCE,
        settings=found,
        experiment=found.experiment,
        config_loader=loader,
        redact=config.redact,
    )


def _check_environment(conf_source: Path, env: str | None) -> None:
    """Refuse what would be read as an environment without any settings, which has another store."""
    if env and conf_source.is_dir() and not (conf_source / env).is_dir():
        raise InvalidSetting(
            f"environment '{env}' has no folder {conf_source / env}; make it, or choose another --env (or KEDRO_ENV)"
        )
