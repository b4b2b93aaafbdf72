"""What ``metadata: {ratoon: …}`` of a dataset in the catalog asks for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal

from msgspec import Struct

logger = logging.getLogger(__name__)


class DatasetOptions(Struct, frozen=True, kw_only=True):
    """How one dataset is recorded; None stands for what ``ratoon.yml`` says.

    Attributes:
        log: Whether anything is recorded of it.
        artifact: Whether its files are kept with the run.
        metrics: Whether its numbers are metrics.
        model: Whether it is logged as a model.
        digest: ``cheap`` reads no data; ``content`` reads all of it.
        name: What it is called in the run.
    """

    log: bool = True
    artifact: bool | None = None
    metrics: bool | None = None
    model: bool | None = None
    digest: Literal["cheap", "content"] | None = None
    name: str | None = None


KEYS = DatasetOptions.__struct_fields__
_DEFAULT = DatasetOptions()


def options_of(stored: Any, name: str) -> DatasetOptions:
    """The options of a dataset of the catalog; what cannot be used is left out with a warning.

    Args:
        stored: The dataset, or the cache around it; None for a name that the catalog does not know.
        name: Its name, for the warning.
    """
    given: dict[str, Any] = {}
    for each in (getattr(stored, "_dataset", None), stored):
        metadata = getattr(each, "metadata", None)
        if isinstance(metadata, Mapping) and metadata.get("ratoon") is not None:
            given |= _checked(metadata["ratoon"], name)
    return DatasetOptions(**given) if given else _DEFAULT


def _checked(options: object, name: str) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        _warn(f"option 'ratoon' of dataset {name!r} is {options!r}; give a mapping with {', '.join(KEYS)}")
        return {}
    found = {}
    for key, value in options.items():
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known options are {', '.join(KEYS)}"
            _warn(f"option {key!r} of dataset {name!r} is unknown; {hint}")
        elif not _fits(key, value):
            wanted = {"digest": "cheap or content", "name": "a name"}.get(key, "true or false")
            _warn(f"option {key!r} of dataset {name!r} is {value!r}; give {wanted}")
        else:
            found[key] = value
    return found


def _fits(key: str, value: object) -> bool:
    if key == "digest":
        return value in ("cheap", "content")
    return isinstance(value, str) and bool(value) if key == "name" else isinstance(value, bool)


def _warn(message: str) -> None:
    logger.warning("%s", message)
