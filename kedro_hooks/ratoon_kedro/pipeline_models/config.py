"""``pipeline_models`` in ``ratoon.yml``: which pipelines are packaged as models, and what a request may say.

::

    pipeline_models:
      wine_service:               # the model's name
        pipeline: inference       # a registered pipeline
        input: wines              # its free input that a request fills
        output: predictions       # may be left out if it has one free output only
        example: test_wines       # the dataset that the signature is inferred from; the input if left out
        after: training           # only at the end of runs of these pipelines
        parameters: [threshold]   # what a request may change; everything else is frozen
        register: {name: wine-service, alias: champion}

A model is registered by its own ``register``, not by the one at the top, which is about datasets.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from ratoon.errors import InvalidSetting
from ratoon_kedro.options.config import Registration

SETTING = "pipeline_models"


class PipelineModel(Struct, frozen=True, kw_only=True):
    """A pipeline that is packaged as a model.

    Attributes:
        name: The model's name in the run.
        pipeline: The registered pipeline.
        input: The free input that a request fills.
        output: What a request gets; None for the only free output.
        example: The dataset that the signature is inferred from; None for the input's own.
        after: The pipelines after which it is made; empty for every run that makes something it needs.
        parameters: Dotted names of the parameters that a request may change.
        register: What it is registered as.
    """

    name: str
    pipeline: str
    input: str
    output: str | None = None
    example: str | None = None
    after: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    register: Registration | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """What a run must keep for the models of pipelines that it ends with; every process of the run gets it.

    Attributes:
        models: The names of the models.
        kept: The datasets in memory whose values they need.
        folder: Where worker processes leave those values.
    """

    models: tuple[str, ...] = ()
    kept: frozenset[str] = frozenset()
    folder: str = ""


KEYS = tuple(key for key in PipelineModel.__struct_fields__ if key != "name")
TEXTS = ("pipeline", "input", "output", "example")
LISTS = ("after", "parameters")
_REFUSED = "/:@%#?"


def parse_pipeline_models(value: object, source: str) -> Mapping[str, PipelineModel]:
    """Check what stands under ``pipeline_models``.

    Args:
        value: What the file says.
        source: The file, for messages.

    Raises:
        InvalidSetting: A key is unknown or a value cannot be used; the message names file, key and value.
    """
    given = _mapping(SETTING, value, source, "a mapping of model names to mappings")
    return {str(name): _parsed(str(name), inner, source) for name, inner in given.items()}


def _parsed(name: str, value: object, source: str) -> PipelineModel:
    place = f"{SETTING}.{name}"
    if not name or any(sign in name for sign in _REFUSED):
        raise _refusal(place, name, source, f"a name of a model without any of {' '.join(_REFUSED)}")
    given = _mapping(place, value, source, "a mapping with pipeline and input")
    _check_known(place, given, KEYS, source)
    told = {key: inner for key, inner in given.items() if inner is not None}
    for key in ("pipeline", "input"):
        if key not in told:
            raise _refusal(place, value, source, f"{key!r}, too")
    found: dict[str, Any] = {key: _text(f"{place}.{key}", told[key], source) for key in TEXTS if key in told}
    found |= {key: _texts(f"{place}.{key}", told[key], source) for key in LISTS if key in told}
    if "register" in told:
        found["register"] = _registration(f"{place}.register", told["register"], source)
    return PipelineModel(name=name, **found)


def _registration(place: str, value: object, source: str) -> Registration:
    if isinstance(value, str) and value:
        return Registration(value)
    given = _mapping(place, value, source, "a model's name, or 'name' and 'alias' and 'policy'")
    _check_known(place, given, Registration.__struct_fields__, source)
    told = {key: _text(f"{place}.{key}", inner, source) for key, inner in given.items() if inner is not None}
    if "name" not in told:
        raise _refusal(place, value, source, "a model's name, or 'name' and 'alias' and 'policy'")
    return Registration(**told)


def _texts(place: str, value: object, source: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise _refusal(place, value, source, "a name or a list of names")
    return tuple(name.removeprefix("params:") for name in names)


def _text(place: str, value: object, source: str) -> str:
    if not isinstance(value, str) or not value:
        raise _refusal(place, value, source, "a name")
    return value


def _mapping(place: str, value: object, source: str, wanted: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise _refusal(place, value, source, wanted)
    return value


def _check_known(place: str, given: Mapping[Any, Any], known: tuple[str, ...], source: str) -> None:
    for key in given:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(known)}"
            raise InvalidSetting(f"setting '{place}.{key}' in {source} is unknown; {hint}")


def _refusal(place: str, value: object, source: str, wanted: str) -> InvalidSetting:
    return InvalidSetting(f"setting {place!r} in {source} is {value!r}; give {wanted}")
