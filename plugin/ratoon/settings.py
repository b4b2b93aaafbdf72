"""Where runs, models and artifacts are kept, and which plugins may take part.

An argument wins over the environment, the environment over ``ratoon.toml``, that over the default. The file is looked
for in the working folder and its parents, so that every command works from a subfolder of a project.
"""

from __future__ import annotations

import getpass
import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from msgspec import Struct

from ratoon.errors import InvalidSetting

FILE_NAME = "ratoon.toml"
HOME_NAME = ".ratoon"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that can be configured, resolved.

    Attributes:
        tracking_uri: Where runs are recorded.
        registry_uri: Where models are registered; the same place unless told otherwise.
        artifact_root: URI or path under which files are kept.
        experiment: The experiment of runs that name none.
        user: Who is recorded as the author of runs and moves.
        block_plugins: Plugins that are not to be loaded, by the names that ``ratoon plugins`` prints.
        home: The folder of local state, such as deployments on this machine.
    """

    tracking_uri: str
    registry_uri: str
    artifact_root: str
    experiment: str
    user: str
    block_plugins: tuple[str, ...]
    home: Path


KEYS = tuple(name for name in Settings.__struct_fields__ if name != "home")


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
        home=home,
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
    for key, value in content.items():
        _check(key, value, str(path))
    return content


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {key: environ[name] for key in KEYS if environ.get(name := f"RATOON_{key.upper()}")}
    if "block_plugins" in values:
        values["block_plugins"] = [name.strip() for name in values["block_plugins"].split(",") if name.strip()]
    return values


def _from_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: value for key, value in given.items() if value is not None}
    for key, value in values.items():
        _check(key, list(value) if isinstance(value, tuple) else value, "the arguments")
    return values


def _check(key: str, value: object, source: str) -> None:
    if key not in KEYS:
        near = get_close_matches(key, KEYS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(KEYS)}"
        raise InvalidSetting(f"setting {key!r} in {source} is unknown; {hint}")
    if key == "block_plugins":
        fits = isinstance(value, list) and all(isinstance(name, str) for name in value)
        wanted = "a list of strings"
    else:
        fits, wanted = isinstance(value, str), "a string"
    if not fits:
        raise InvalidSetting(f"setting {key!r} in {source} is {value!r}; give {wanted}")


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
