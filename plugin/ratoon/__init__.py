"""ratoon: the whole life of a machine-learning model, for people who run Kedro and Airflow.

The names below are imported when they are first used: ``import ratoon`` itself costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ratoon.version import __version__

if TYPE_CHECKING:
    from ratoon.evaluation.evaluating import evaluate
    from ratoon.hookspecs import hookimpl
    from ratoon.registry.promotion import promote, rollback, set_alias
    from ratoon.tracking.client import Client
    from ratoon.tracking.fluent import (
        active_run,
        end_run,
        flush,
        get_client,
        log_artifact,
        log_artifacts,
        log_dict,
        log_figure,
        log_image,
        log_input,
        log_metric,
        log_metrics,
        log_model,
        log_param,
        log_params,
        log_stream,
        log_system_metrics,
        log_table,
        log_text,
        set_experiment,
        set_tag,
        set_tags,
        set_tracking_uri,
        start_run,
    )
    from ratoon.tracking.models import load_model, register_model

_HOMES = {
    "ratoon.evaluation.evaluating": ("evaluate",),
    "ratoon.hookspecs": ("hookimpl",),
    "ratoon.registry.promotion": ("promote", "rollback", "set_alias"),
    "ratoon.tracking.client": ("Client",),
    "ratoon.tracking.fluent": (
        "active_run",
        "end_run",
        "flush",
        "get_client",
        "log_artifact",
        "log_artifacts",
        "log_dict",
        "log_figure",
        "log_image",
        "log_input",
        "log_metric",
        "log_metrics",
        "log_model",
        "log_param",
        "log_params",
        "log_stream",
        "log_system_metrics",
        "log_table",
        "log_text",
        "set_experiment",
        "set_tag",
        "set_tags",
        "set_tracking_uri",
        "start_run",
    ),
    "ratoon.tracking.models": ("load_model", "register_model"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Client",
    "__version__",
    "active_run",
    "end_run",
    "evaluate",
    "flush",
    "get_client",
    "hookimpl",
    "load_model",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_image",
    "log_input",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_stream",
    "log_system_metrics",
    "log_table",
    "log_text",
    "promote",
    "register_model",
    "rollback",
    "set_alias",
    "set_experiment",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "start_run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ratoon' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
