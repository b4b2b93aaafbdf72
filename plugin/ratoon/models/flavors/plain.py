"""Keeps of an estimator's parameters what YAML can hold: how it was made, not callbacks, functions or its machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PLAIN = (str, bool, int, float)
# How a machine computes and what it prints: another one need not have as many processors, or the GPU.
_LOCAL = ("device", "gpu_id", "n_jobs", "nthread", "num_threads", "thread_count", "verbose", "verbosity")


def plain_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with a single number, text or truth value that belong to the model."""
    found = {}
    for name, value in params.items():
        # numpy's numbers are not YAML's.
        value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
        if name not in _LOCAL and type(value) in _PLAIN:
            found[str(name)] = value
    return found
