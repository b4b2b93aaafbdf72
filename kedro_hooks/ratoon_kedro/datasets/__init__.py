"""Datasets for a ``catalog.yml`` that says itself what a run keeps: models, metrics, and files of any other dataset.

Nothing is imported before one of them is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratoon_kedro.datasets.artifact import ArtifactDataset
    from ratoon_kedro.datasets.metrics import MetricsDataset
    from ratoon_kedro.datasets.model import ModelDataset

__all__ = ["ArtifactDataset", "MetricsDataset", "ModelDataset"]

_MODULES = {"ArtifactDataset": "artifact", "MetricsDataset": "metrics", "ModelDataset": "model"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
