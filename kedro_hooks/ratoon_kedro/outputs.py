"""What nodes return, as metrics and models.

A number is the metric ``<dataset>``, a flat dict of numbers is one metric a key: ``<dataset>.<key>``. The name of the
dataset is always part of it, so that a metric keeps its name and its meaning when another node begins to return one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ratoon_kedro.lineage import base_name
from ratoon_kedro.params import is_param, safe_key

if TYPE_CHECKING:
    from ratoon_kedro.state import Tracked

_NOT_IN_MODEL_NAMES = re.compile(r"[/:@%#?]")


def record_output(tracked: Tracked, name: str, value: object, beside: Mapping[str, object]) -> None:
    """Log what a plugin, or ratoon itself, finds in one value that a node returned.

    Args:
        tracked: The run.
        name: The dataset that the value is saved to.
        value: What the node returned.
        beside: What the node received and returned, by dataset; a model's example is looked for in it, in this order.
    """
    from ratoon.tracking.outputs import describe

    dataset = base_name(name)
    description = describe(tracked.client.manager, dataset, value)
    if description is None:
        return
    if description.metrics:
        named = {f"{dataset}.{key}" if key else dataset: value for key, value in description.metrics.items()}
        tracked.run.log_metrics({safe_key(name): value for name, value in named.items()})
    if description.model is not None:
        with tracked.saving_model:
            _log_model(tracked, dataset, description.model, beside)


def model_name(dataset: str) -> str:
    """The name of the model that a dataset holds: without the characters that model URIs need for themselves."""
    return _NOT_IN_MODEL_NAMES.sub("_", base_name(dataset))


def _log_model(tracked: Tracked, dataset: str, model: object, beside: Mapping[str, object]) -> None:
    from ratoon.models.flavors import flavor_of

    name, flavor = flavor_of(model, tracked.client.manager)
    candidates = [value for key, value in beside.items() if not is_param(key) and value is not model]
    example = flavor.example_from(model, candidates)
    tracked.run.log_model(model, model_name(dataset), flavor=name, input_example=example)
