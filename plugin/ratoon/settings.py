"""Where runs, models and artifacts are kept, and which plugins may take part.

An argument wins over the environment, the environment over ``ratoon.toml``, that over the default. The file is looked
for in the working folder and its parents, so that every command works from a subfolder of a project.
"""

from __future__ import annotations

import getpass
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from msgspec import Struct

from ratoon.errors import InvalidSetting

FILE_NAME = "ratoon.toml"
HOME_NAME = ".ratoon"
SPOOL_LIMIT = 10 * 2**30

# MLflow's names for settings of ours, which ours win over.
_OF_MLFLOW = {"progress": "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"}
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that can be configured, resolved.

    Attributes:
        tracking_uri: Where runs are recorded.
        registry_uri: Where models are registered; the same place unless told otherwise.
        artifact_root: URI or path under which files are kept.
        experiment: The experiment of runs that name none.
        user: Who is recorded as the author of runs and moves.
        block_plugins: Plugins that are not to be loaded, by the names that ``ratoon plugins`` prints.
        trusted_registries: Registries whose versions may run code when they are loaded, by their absolute URIs. Never
            read from ``ratoon.toml``: that file comes with a project, and whoever wrote it must not say whom to trust.
        policy: The file that says which gates judge promotions; None for ``promotion.yml`` beside ``ratoon.toml``, if
            there is one.
        progress: Whether long transfers show a progress bar on a terminal.
        spool_limit: How many bytes may be kept for a server that is away.
        home: The folder of local state, such as deployments on this machine.
    """

    tracking_uri: str
    registry_uri: str
    artifact_root: str
    experiment: str
    user: str
    block_plugins: tuple[str, ...]
    policy: Path | None = None
    progress: bool = True
    spool_limit: int = SPOOL_LIMIT
    home: Path
    trusted_registries: tuple[str, ...] = ()

    @property
    def registry_is_trusted(self) -> bool:
        """Whether the registry, and every other place that decides which files its versions are, is trusted."""
        trusted, usual = self.trusted_registries, _default_artifact_root(self.tracking_uri, self.home)
        return (
            self.registry_uri in trusted
            and self.tracking_uri in trusted
            and (self.artifact_root in trusted or self.artifact_root == usual)
        )


KEYS = tuple(name for name in Settings.__struct_fields__ if name != "home")
LISTS = ("block_plugins", "trusted_registries")
NOT_IN_FILES = ("trusted_registries",)


def load_settings(start: Path | None = None, environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """Resolve the settings for a process that works in ``start``.

    Args:
        start: Where to look for ``ratoon.toml`` and ``.ratoon``, upwards; the working folder if None.
        environ: The environment to read ``RATOON_<KEY>`` from; the process's own if None.
        given: Values by key that win over everything; None stands for "not given".

    Raises:
        InvalidSetting: A key is unknown or a value has the wrong type; the message names key, value and source.
    """
    base = project_folder((start or Path.cwd()).absolute())
    values = _from_file(base / FILE_NAME)
    values |= _from_environment(os.environ if environ is None else environ)
    values |= _from_arguments(given)
    home = base / HOME_NAME
    tracking_uri = _anchor(values.get("tracking_uri") or f"sqlite:///{home / 'ratoon.db'}", base)
    return Settings(
        tracking_uri=tracking_uri,
        registry_uri=_anchor(values.get("registry_uri") or tracking_uri, base),
        artifact_root=_anchor(values.get("artifact_root") or _default_artifact_root(tracking_uri, home), base),
        experiment=values.get("experiment") or "Default",
        user=values.get("user") or _login_name(),
        block_plugins=tuple(values.get("block_plugins") or ()),
        policy=base / values["policy"] if values.get("policy") else None,
        progress=values.get("progress", True),
        spool_limit=values.get("spool_limit", SPOOL_LIMIT),
        home=home,
        trusted_registries=tuple(values.get("trusted_registries") or ()),
    )


def project_folder(start: Path) -> Path:
    """The nearest folder, from ``start`` upwards, that has a ``ratoon.toml`` or a ``.ratoon``; else ``start``."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file() or (folder / HOME_NAME).is_dir():
            return folder
    return start


def without_password(uri: str) -> str:
    """A URI that may be shown: what stands between ``//`` and ``@`` is left out."""
    return re.sub(r"//[^/@]*@", "//…@", uri)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidSetting(f"settings file '{path}' cannot be read ({error}); correct or remove it") from error
    for key in NOT_IN_FILES:
        if key in content:
            raise InvalidSetting(
                f"setting {key!r} in {path} is not allowed (the file comes with the project, and trust must not); "
                f"set RATOON_{key.upper()}"
            )
    return {key: _checked(key, value, str(path)) for key, value in content.items()}


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in KEYS:
        for name in (f"RATOON_{key.upper()}", _OF_MLFLOW.get(key, "")):
            if text := environ.get(name):
                listed = [each.strip() for each in text.split(",") if each.strip()]
                values.setdefault(key, _checked(key, listed if key in LISTS else text, name))
    return values


def _from_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}
    return {key: _checked(key, value, "the arguments") for key, value in values.items() if value is not None}


def _checked(key: str, value: object, source: str) -> object:
    """The value of a key, as the settings hold it."""
    if key not in KEYS:
        near = get_close_matches(key, KEYS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(KEYS)}"
        raise InvalidSetting(f"setting {key!r} in {source} is unknown; {hint}")
    wanted, found = _KINDS.get(key, ("a string", _text_of))
    fitting = found(value)
    if fitting is None:
        raise InvalidSetting(f"setting {key!r} in {source} is {value!r}; give {wanted}")
    return fitting


def _text_of(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _names_of(value: object) -> list[str] | None:
    return value if isinstance(value, list) and all(isinstance(name, str) for name in value) else None


def _switch_of(value: object) -> bool | None:
    return value if isinstance(value, bool) else _SWITCH.get(str(value).lower())


def _size_of(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    found = _SIZE.fullmatch(str(value).strip())
    unit = _UNITS.get(found[2].lower()) if found else None
    return None if found is None or unit is None else int(float(found[1]) * unit)


# What a key takes that is not a string.
_KINDS: dict[str, tuple[str, Callable[[object], object]]] = {
    "block_plugins": ("a list of strings", _names_of),
    "trusted_registries": ("a list of strings", _names_of),
    "progress": ("true or false", _switch_of),
    "spool_limit": ("a number of bytes, or a size such as '10 GiB'", _size_of),
}


def _anchor(uri: str, base: Path) -> str:
    """Make a relative path or ``sqlite:///relative`` absolute, so that it means the same from every folder."""
    if uri.startswith("sqlite:///"):
        path = uri.removeprefix("sqlite:///")
        return uri if path in ("", ":memory:") else f"sqlite:///{base / path}"
    if "://" in uri or uri.startswith(("file:", "memory:")):
        return uri
    return str(base / uri)


def _default_artifact_root(tracking_uri: str, home: Path) -> str:
    if tracking_uri.startswith(("http://", "https://")):
        return tracking_uri  # a server keeps files, too
    if tracking_uri.startswith("memory:"):
        return tracking_uri
    if tracking_uri.startswith("sqlite:///"):
        return str(Path(tracking_uri.removeprefix("sqlite:///")).parent / "artifacts")
    return str(home / "artifacts")


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
