"""``conf/<env>/ratoon.yml``: what a project says about its tracking. Every key is optional, and so is the file.

The keys are flat, because Kedro's environments overwrite each other by top-level key. How a value is checked is in
:mod:`ratoon_kedro.options.checks`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from ratoon.errors import InvalidSetting
from ratoon.settings import Settings, load_settings
from ratoon_kedro.options.selection import EVERYTHING, NOTHING, Selection

if TYPE_CHECKING:
    from ratoon_kedro.pipeline_models.config import PipelineModel

FILE_NAME = "ratoon.yml"
PATTERNS = ("ratoon*", "ratoon*/**", "**/ratoon*")
# What a project may say in place of ratoon's own settings.
PLACES = ("tracking_uri", "registry_uri", "artifact_root", "experiment")


class DatasetSelection(Selection, frozen=True):
    """Which datasets are recorded, and how much is found out about them.

    Attributes:
        digest: ``cheap`` reads no data; ``content`` reads all of it.
        profile: Whether rows, columns and a few figures of each column are kept.
    """

    digest: Literal["cheap", "content"] = "cheap"
    profile: bool = True


class Registration(Struct, frozen=True):
    """Under which name, and for which alias, a dataset's model is registered after a successful run.

    Attributes:
        name: The registered model.
        alias: What the new version takes over; None for nothing, unless there is a policy.
        policy: The file whose gates decide whether it may, relative to the project; None if nobody is asked.
    """

    name: str
    alias: str | None = None
    policy: str | None = None


class Config(Struct, frozen=True, kw_only=True):
    """What the project's ``ratoon.yml`` says.

    None stands for "not given": the settings of ratoon and of Kedro decide then.

    Attributes:
        enabled: Whether anything is tracked.
        pipelines: Which registered pipelines are tracked.
        strict: Whether an error of ratoon ends the run.
        tracking_uri: Where runs are recorded.
        registry_uri: Where models are registered.
        artifact_root: Where files are kept.
        experiment: The experiment; the project's package if None.
        credentials: The key in ``credentials.yml`` of what the server asks for.
        run_name: A template of the run's name.
        tags: Tags of every run.
        params: Which parameters are recorded, by dotted name.
        metrics: Which metrics are recorded.
        datasets: Which datasets are recorded, and how.
        artifacts: Datasets whose files are kept with the run.
        models: Datasets whose models are logged.
        register: Which models are registered, by dataset.
        redact: Regular expressions of parameters that hide a secret.
        system_metrics: Seconds between two samples of how busy the machine is; None for no samples.
        logs: Whether the run's log is kept.
        pipeline_models: Inference pipelines that are packaged as models, by the model's name.
    """

    enabled: bool = True
    pipelines: Selection = EVERYTHING
    strict: bool = False
    tracking_uri: str | None = None
    registry_uri: str | None = None
    artifact_root: str | None = None
    experiment: str | None = None
    credentials: str | None = None
    run_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Selection = EVERYTHING
    metrics: Selection = EVERYTHING
    datasets: DatasetSelection = DatasetSelection()
    artifacts: Selection = NOTHING
    models: Selection = EVERYTHING
    register: Mapping[str, Registration] = field(default_factory=dict)
    redact: tuple[str, ...] = ()
    system_metrics: float | None = None
    logs: bool = True
    pipeline_models: Mapping[str, PipelineModel] = field(default_factory=dict)

    def tracks(self, pipelines: list[str]) -> bool:
        """Whether a run of these registered pipelines is tracked: one that is wanted is enough."""
        return self.enabled and any(self.pipelines.picks(name) for name in pipelines)


KEYS = Config.__struct_fields__


def announce(config_loader: Any) -> None:
    """Tell Kedro's config loader which files are ratoon's; a loader that knows no patterns is left alone."""
    patterns = getattr(config_loader, "config_patterns", None)
    if isinstance(patterns, dict):
        patterns.setdefault("ratoon", list(PATTERNS))


def load_config(config_loader: Any) -> Config:
    """Read the project's configuration; the defaults if it has none.

    Raises:
        InvalidSetting: A key is unknown or a value cannot be used; the message names file, key and value.
    """
    return parse_config(read_raw(config_loader), config_loader)


def read_raw(config_loader: Any) -> Mapping[str, Any]:
    """What the files say, merged as Kedro merges environments; empty if there is no file."""
    from kedro.config import MissingConfigException

    try:
        content = config_loader["ratoon"]
    except (MissingConfigException, KeyError):
        return {}
    except Exception as error:  # whatever the YAML or the interpolation is refused with
        raise InvalidSetting(f"settings file '{FILE_NAME}' cannot be read ({error}); correct it") from error
    return dict(content or {})


def parse_config(content: Mapping[str, Any], config_loader: Any = None) -> Config:
    """Check every key and value.

    Args:
        content: The merged configuration.
        config_loader: Where it came from, to name the file in a message.

    Raises:
        InvalidSetting: A key is unknown or a value cannot be used; the message names file, key and value.
    """
    if not content:
        return Config()
    from ratoon_kedro.options.checks import check_known, checked

    values: dict[str, Any] = {}
    for key, value in content.items():
        source = Source(key, config_loader)
        check_known(key, KEYS, source)
        if value is not None:
            values[key] = checked(key, value, source)
    return Config(**values)


def settings_of(path: Path, package: str, config: Config) -> Settings:
    """Where a project keeps its runs; the environment goes before ``ratoon.yml``: an orchestrator has the last word."""
    given = {key: getattr(config, key) for key in PLACES if not os.environ.get(f"RATOON_{key.upper()}")}
    settings = load_settings(path, **given)
    return replace(settings, experiment=package) if settings.experiment == "Default" else settings


class Source:
    """The file that a key is from, looked for when a message names it.

    Args:
        key: A top-level key.
        config_loader: Kedro's, which knows the folders.
    """

    def __init__(self, key: object, config_loader: Any = None) -> None:
        self._key, self._loader = key, config_loader

    def __str__(self) -> str:
        """The file that has the key: the environment's own before the base."""
        import yaml

        root = getattr(self._loader, "conf_source", None)
        environment = getattr(self._loader, "env", None) or getattr(self._loader, "default_run_env", None)
        for folder in (environment, getattr(self._loader, "base_env", None)):
            for path in sorted(Path(root, folder).rglob("ratoon*.y*ml")) if root and folder else ():
                try:
                    content = yaml.safe_load(path.read_text(encoding="utf-8"))
                except (OSError, ValueError, yaml.YAMLError):
                    continue
                if isinstance(content, dict) and self._key in content:
                    return str(path)
        return FILE_NAME
