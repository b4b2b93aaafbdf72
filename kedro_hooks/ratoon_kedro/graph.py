"""The pipeline as a document: nodes with status and time, and the datasets that tie them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.entities import Metric, Run
from ratoon_kedro.params import is_param, safe_key

SECONDS = "kedro/seconds/"
FAILED_NODE = "kedro.failed_node"
FORMAT = 1


def describe_pipeline(pipeline: Any, run: Run, since: int, *, complete: bool) -> dict[str, Any]:
    """The graph of a run that has come to its end.

    Args:
        pipeline: Kedro's pipeline, filtered as it was run.
        run: The run as it is stored.
        since: When this execution began, in milliseconds: what is older belongs to an earlier try of the same run.
        complete: Whether the pipeline came to its end; a node that was not seen was skipped then, else not reached.
    """
    failed = run.tags.get(FAILED_NODE)
    nodes = [_describe_node(node, run.metrics, since) for node in pipeline.nodes]
    for node in nodes:
        if node["name"] == failed and not complete:
            node["status"] = "failed"
        elif node["seconds"] is None:
            node["status"] = "skipped" if complete else "not_reached"
    return {"format": FORMAT, "nodes": nodes, "edges": _edges(pipeline)}


def seconds_key(node_name: str) -> str:
    """The metric that holds how long a node's function took."""
    return safe_key(f"{SECONDS}{node_name}")


def _describe_node(node: Any, metrics: Mapping[str, Metric], since: int) -> dict[str, Any]:
    metric = metrics.get(seconds_key(node.name))
    seen = metric is not None and metric.timestamp >= since
    return {
        "name": node.name,
        "function": f"{getattr(node.func, '__module__', '')}.{getattr(node.func, '__qualname__', '')}",
        "namespace": node.namespace,
        "tags": sorted(node.tags),
        "inputs": [name for name in node.inputs if not is_param(name)],
        "params": [name for name in node.inputs if is_param(name)],
        "outputs": list(node.outputs),
        "status": "finished",
        "seconds": metric.value if metric and seen else None,
    }


def _edges(pipeline: Any) -> list[dict[str, str]]:
    """Who gives what to whom; transcoded names (``table@spark``) are one dataset."""
    makers = {name.partition("@")[0]: node.name for node in pipeline.nodes for name in node.outputs}
    return [
        {"source": makers[name.partition("@")[0]], "target": node.name, "dataset": name.partition("@")[0]}
        for node in pipeline.nodes
        for name in node.inputs
        if name.partition("@")[0] in makers
    ]
