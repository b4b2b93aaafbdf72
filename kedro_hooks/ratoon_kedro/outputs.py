"""What nodes return, as metrics and models.

A number is the metric ``<dataset>``. A flat dict of numbers is one metric a key, under the bare key: ``accuracy``.
Where two datasets of a run have the same key, each gets ``<dataset>.<key>`` when the run ends, and the bare key keeps
the value of the dataset that comes first in the pipeline. That does not depend on which node happened to be faster, so
every runner records the same.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ratoon_kedro.lineage import base_name
from ratoon_kedro.params import is_param, safe_key

if TYPE_CHECKING:
    from ratoon.entities import Run
    from ratoon_kedro.state import Tracked

# Tag `kedro.metrics.<dataset>`: the metrics that came from it; how processes tell each other.
OWNER = "kedro.metrics."
LONGEST_TAG = 8000

_NOT_IN_MODEL_NAMES = re.compile(r"[/:@%#?]")


class _Owned(NamedTuple):
    rank: int
    dataset: str
    value: float


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
        _log_metrics(tracked, safe_key(dataset), description.metrics)
    if description.model is not None:
        with tracked.saving_model:
            _log_model(tracked, dataset, description.model, beside)


def model_name(dataset: str) -> str:
    """The name of the model that a dataset holds: without the characters that model URIs need for themselves."""
    return _NOT_IN_MODEL_NAMES.sub("_", base_name(dataset))


def settle_shared_keys(run: Run, pipeline: Any) -> dict[str, float]:
    """The metrics that must be logged at the end, because several datasets of the run have the same key."""
    ranks = {
        safe_key(base_name(name)): rank
        for rank, name in reversed(list(enumerate(name for node in pipeline.nodes for name in node.outputs)))
    }
    owners: defaultdict[str, list[_Owned]] = defaultdict(list)
    for tag, text in run.tags.items():
        dataset = tag.removeprefix(OWNER)
        if tag.startswith(OWNER) and dataset in ranks:
            for key, value in json.loads(text).items():
                # A number bears its dataset's own name and goes before any dict that has such a key.
                owners[key].append(_Owned(-1 if key == dataset else ranks[dataset], dataset, value))
    settled: dict[str, float] = {}
    for key, owned in owners.items():
        if len(owned) > 1:
            settled[key] = min(owned).value
            settled |= {_qualified(each.dataset, key): each.value for each in owned if each.dataset != key}
    return settled


def _log_metrics(tracked: Tracked, dataset: str, metrics: Mapping[str, float]) -> None:
    values = {safe_key(key) if key else dataset: float(value) for key, value in metrics.items()}
    claim = json.dumps(values)
    if len(claim) > LONGEST_TAG:  # a table of numbers, not a summary: its keys are its own
        values = {_qualified(dataset, key): value for key, value in values.items()}
    else:
        tracked.run.set_tag(safe_key(OWNER + dataset), claim)
    tracked.run.log_metrics(values)


def _log_model(tracked: Tracked, dataset: str, model: object, beside: Mapping[str, object]) -> None:
    from ratoon.models.flavors import flavor_of

    name, flavor = flavor_of(model, tracked.client.manager)
    candidates = [value for key, value in beside.items() if not is_param(key) and value is not model]
    example = flavor.example_from(model, candidates)
    tracked.run.log_model(model, model_name(dataset), flavor=name, input_example=example)


def _qualified(dataset: str, key: str) -> str:
    return safe_key(f"{dataset}.{key}")
