"""How the values of ``ratoon.yml`` are checked: what does not fit is refused with file, key, value and what fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from ratoon.errors import InvalidSetting
from ratoon_kedro.options.config import DatasetSelection, Registration, Source
from ratoon_kedro.options.selection import Selection

SECONDS = 10.0  # between two samples of the machine, if nothing else is said
DIGESTS = ("cheap", "content")


def checked(key: str, value: object, source: Source) -> object:
    """The value of a top-level key as the configuration holds it.

    Raises:
        InvalidSetting: It cannot be used.
    """
    return _CHECKS.get(key, _text)(key, value, source)


def check_known(key: object, known: Sequence[str], source: Source, inside: str = "") -> None:
    """Refuse a key that is not known.

    Args:
        key: The key, as it was given.
        known: What it may be.
        source: Where it was given.
        inside: The dotted path of the mapping that it stands in; empty at the top.

    Raises:
        InvalidSetting: It is unknown; the message suggests the nearest one.
    """
    if key in known:
        return
    near = get_close_matches(str(key), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(known)}"
    shown = f"{inside}.{key}" if inside else key
    raise InvalidSetting(f"setting {shown!r} in {source} is unknown; {hint}")


def expect(key: str, value: object, source: Source, fits: bool, wanted: str) -> Any:
    """The value, if it fits; else InvalidSetting says what would."""
    if not fits:
        raise InvalidSetting(f"setting {key!r} in {source} is {value!r}; give {wanted}")
    return value


def _text(key: str, value: object, source: Source) -> object:
    return expect(key, value, source, isinstance(value, str) and bool(value), "a string")


def _switch(key: str, value: object, source: Source) -> object:
    return expect(key, value, source, isinstance(value, bool), "true or false")


def _tags(key: str, value: object, source: Source) -> object:
    given = expect(key, value, source, isinstance(value, Mapping), "a mapping of tags")
    return {str(name): str(text) for name, text in given.items()}


def _selection(key: str, value: object, source: Source) -> Selection:
    return Selection(**_selected(key, value, source))


def _artifacts(key: str, value: object, source: Source) -> Selection:
    # Files may be large: nothing is kept that was not asked for.
    return Selection(**{"include": (), **_selected(key, value, source)})


def _datasets(key: str, value: object, source: Source) -> DatasetSelection:
    given = _selected(key, value, source, ("include", "exclude", "digest", "profile"))
    if "digest" in given:
        expect(f"{key}.digest", given["digest"], source, given["digest"] in DIGESTS, "cheap or content")
    if "profile" in given:
        _switch(f"{key}.profile", given["profile"], source)
    return DatasetSelection(**given)


def _selected(key: str, value: object, source: Source, known: Sequence[str] = ("include", "exclude")) -> dict[str, Any]:
    wanted = f"a mapping with {', '.join(known[:-1])} or {known[-1]}"
    given = expect(key, value, source, isinstance(value, Mapping), wanted)
    for name in given:
        check_known(name, known, source, inside=key)
    found = {name: inner for name, inner in given.items() if inner is not None}
    for name in {"include", "exclude"} & set(found):
        found[name] = _names(f"{key}.{name}", found[name], source)
    return found


def _names(key: str, value: object, source: Source) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    fits = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
    return tuple(expect(key, names, source, fits, "a list of names, or of patterns such as 'train*'"))


def _registrations(key: str, value: object, source: Source) -> object:
    wanted = "a mapping of dataset names to model names"
    given = expect(key, value, source, isinstance(value, Mapping), wanted)
    return {str(name): _registration(f"{key}.{name}", inner, source) for name, inner in given.items()}


def _registration(key: str, value: object, source: Source) -> Registration:
    if isinstance(value, str) and value:
        return Registration(value)
    wanted = "a model's name, or 'name' and 'alias' and 'policy'"
    given = expect(key, value, source, isinstance(value, Mapping), wanted)
    for name in given:
        check_known(name, Registration.__struct_fields__, source, inside=key)
    told = {name: inner for name, inner in given.items() if inner is not None}
    fits = "name" in told and all(isinstance(text, str) and text for text in told.values())
    expect(key, value, source, fits, wanted)
    return Registration(**told)


def _patterns(key: str, value: object, source: Source) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    fits = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    texts = expect(key, value if not fits else texts, source, fits, "a list of regular expressions")
    for text in texts:
        try:
            re.compile(text)
        except re.error as error:
            raise InvalidSetting(
                f"setting {key!r} in {source} holds {text!r} ({error}); give a regular expression"
            ) from error
    return tuple(texts)


def _seconds(key: str, value: object, source: Source) -> float | None:
    if isinstance(value, bool):
        return SECONDS if value else None
    fits = isinstance(value, (int, float)) and 0 < value < float("inf")
    return float(expect(key, value, source, fits, "true, false or a number of seconds"))


def _pipeline_models(key: str, value: object, source: Source) -> object:
    from ratoon_kedro.pipeline_models.config import parse_pipeline_models

    return parse_pipeline_models(value, str(source))


_CHECKS: dict[str, Callable[[str, object, Source], object]] = {
    "enabled": _switch,
    "strict": _switch,
    "logs": _switch,
    "pipelines": _selection,
    "params": _selection,
    "metrics": _selection,
    "models": _selection,
    "artifacts": _artifacts,
    "datasets": _datasets,
    "tags": _tags,
    "register": _registrations,
    "redact": _patterns,
    "system_metrics": _seconds,
    "pipeline_models": _pipeline_models,
}
