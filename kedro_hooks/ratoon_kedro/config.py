"""``conf/<env>/ratoon.yml``: what a project says about its tracking. Every key is optional, and so is the file.

The keys are flat, because Kedro's environments overwrite each other by top-level key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from ratoon.errors import InvalidSetting

FILE_NAME = "ratoon.yml"
PATTERNS = ("ratoon*", "ratoon*/**", "**/ratoon*")


class Registration(Struct, frozen=True):
    """Under which name, and for which alias, a dataset's model is registered after a successful run."""

    name: str
    alias: str | None = None


class Config(Struct, frozen=True, kw_only=True):
    """What the project's ``ratoon.yml`` says.

    None stands for "not given": the settings of ratoon and of Kedro decide then.
    """

    enabled: bool = True
    strict: bool = False
    tracking_uri: str | None = None
    registry_uri: str | None = None
    artifact_root: str | None = None
    experiment: str | None = None
    run_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    register: Mapping[str, Registration] = field(default_factory=dict)
    redact: tuple[str, ...] = ()


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
    values: dict[str, Any] = {}
    for key, value in content.items():
        source = _source(key, config_loader)
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(KEYS)}"
            raise InvalidSetting(f"setting {key!r} in {source} is unknown; {hint}")
        if value is not None:
            values[key] = _checked(key, value, source)
    return Config(**values)


def _checked(key: str, value: object, source: str) -> object:
    if key in ("enabled", "strict"):
        return _expect(key, value, source, isinstance(value, bool), "true or false")
    if key == "tags":
        _expect(key, value, source, isinstance(value, Mapping), "a mapping of tags")
        return {str(name): str(text) for name, text in _pairs(value)}
    if key == "register":
        wanted = "a mapping of dataset names to model names"
        _expect(key, value, source, isinstance(value, Mapping), wanted)
        return {str(name): _registration(str(name), given, source) for name, given in _pairs(value)}
    if key == "redact":
        return _patterns(value, source)
    return _expect(key, value, source, isinstance(value, str) and bool(value), "a string")


def _registration(dataset: str, given: object, source: str) -> Registration:
    key = f"register.{dataset}"
    if isinstance(given, str) and given:
        return Registration(given)
    fits = isinstance(given, Mapping) and "name" in given and set(given) <= {"name", "alias"}
    fits = fits and all(isinstance(text, str) and text for _, text in _pairs(given))
    _expect(key, given, source, fits, "a model's name, or 'name' and 'alias'")
    return Registration(**dict(_pairs(given)))


def _patterns(value: object, source: str) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    fits = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    _expect("redact", value, source, fits, "a list of regular expressions")
    for text in texts if isinstance(texts, list) else ():
        try:
            re.compile(text)
        except re.error as error:
            raise InvalidSetting(
                f"setting 'redact' in {source} holds {text!r} ({error}); give a regular expression"
            ) from error
    return tuple(texts) if isinstance(texts, list) else ()


def _expect(key: str, value: object, source: str, fits: bool, wanted: str) -> object:
    if not fits:
        raise InvalidSetting(f"setting {key!r} in {source} is {value!r}; give {wanted}")
    return value


def _pairs(value: object) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _source(key: object, config_loader: Any) -> str:
    """The file that has the key: the environment's own before the base."""
    import yaml

    root = getattr(config_loader, "conf_source", None)
    environment = getattr(config_loader, "env", None) or getattr(config_loader, "default_run_env", None)
    for folder in (environment, getattr(config_loader, "base_env", None)):
        for path in sorted(Path(root, folder).rglob("ratoon*.y*ml")) if root and folder else ():
            try:
                content = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, yaml.YAMLError):
                continue
            if isinstance(content, dict) and key in content:
                return str(path)
    return FILE_NAME
