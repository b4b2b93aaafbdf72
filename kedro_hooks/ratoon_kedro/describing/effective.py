"""The configuration that a run really had: what Kedro resolved, and what ratoon made of its own.

Secrets do not get in: values under telling keys, the users of URLs, and everything about credentials but their names.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import msgspec

from ratoon.settings import Settings
from ratoon_kedro.describing.command import runner_name
from ratoon_kedro.options.config import Config
from ratoon_kedro.recording.params import Redactor, join, without_userinfo

FORMAT = 1
ARTIFACT = "kedro/configuration.json"
_PLACES = ("tracking_uri", "registry_uri", "artifact_root", "experiment")


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """What Kedro tells about a catalog that it has just made; nothing is copied."""

    configured: Mapping[str, Any]
    parameters: Mapping[str, Any]


# Kedro makes the catalog and starts the pipeline in one thread.
_resolved: ContextVar[tuple[weakref.ref[Any], Resolved] | None] = ContextVar("ratoon_resolved", default=None)


def remember_catalog(catalog: Any, configured: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Keep what ``before_pipeline_run`` is not told."""
    _resolved.set((weakref.ref(catalog), Resolved(configured=configured, parameters=parameters)))


def resolved_for(catalog: Any) -> Resolved:
    """What is known about a catalog; only its parameters if it was made in another way."""
    found = _resolved.get()
    _resolved.set(None)  # it may be large, and nobody asks twice
    if found is not None and found[0]() is catalog:
        return found[1]
    stored = catalog.get("parameters") if "parameters" in catalog.keys() else None
    parameters = {"parameters": stored.load()} if stored is not None else {}
    return Resolved(configured={}, parameters=parameters)


def describe_configuration(
    resolved: Resolved, run_params: Mapping[str, Any], config: Config, settings: Settings, redactor: Redactor
) -> dict[str, Any]:
    """The document that is kept with the run."""
    ratoon = msgspec.to_builtins(config, enc_hook=str)
    ratoon |= {key: without_userinfo(getattr(settings, key)) for key in _PLACES}
    return {
        "format": FORMAT,
        # The representation of the runner has its address in memory in it.
        "run_params": redactor.clean("", {**run_params, "runner": runner_name(run_params)}),
        "parameters": redactor.clean("", resolved.parameters.get("parameters", {})),
        "catalog": {name: _entry("", given, redactor) for name, given in resolved.configured.items()},
        "ratoon": ratoon,
    }


def _entry(path: str, given: object, redactor: Redactor) -> Any:
    """An entry of the catalog: credentials by their names only."""
    if not isinstance(given, Mapping):
        return redactor.clean(path, given)
    return {
        str(name): inner
        if name == "credentials" and isinstance(inner, str)
        else _entry(join(path, name), inner, redactor)
        for name, inner in given.items()
    }
