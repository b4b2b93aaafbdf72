"""The pipeline as a document: nodes with status and time, and the datasets that tie them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ratoon_kedro.describing.run_folder import NodeTime
from ratoon_kedro.recording.params import is_param, safe_key
from ratoon_kedro.recording.stored_files import lives_in_memory

SECONDS = "kedro/seconds/"
FAILED_NODE = "kedro.failed_node"
FORMAT = 1


class Execution(Struct, frozen=True, kw_only=True):
    """How a pipeline was run.

    Attributes:
        times: When nodes ran, by their names; those that did not are not in it.
        failed: The node that broke the pipeline; None if none did, or it is not known.
        error: What it raised.
        complete: Whether the pipeline came to its end.
        only_missing_outputs: Whether Kedro left out the nodes whose outputs were there.
    """

    times: Mapping[str, NodeTime]
    complete: bool
    failed: str | None = None
    error: str | None = None
    only_missing_outputs: bool = False


def describe_pipeline(pipeline: Any, catalog: Any, execution: Execution) -> dict[str, Any]:
    """The graph of a run that has come to its end.

    Args:
        pipeline: Kedro's pipeline, filtered as it was run, but for ``--only-missing-outputs``.
        catalog: The run's catalog, asked about the outputs of nodes that were left out of a run that failed.
        execution: How it was run.
    """
    nodes = [_describe_node(node, execution) for node in pipeline.nodes]
    for node in nodes:
        if node["name"] == execution.failed:
            node |= {"status": "failed", "error": execution.error}
    unseen = [node for node in nodes if node["status"] is None]
    if unseen:
        _tell_unseen(unseen, nodes, catalog, execution)
    return {"format": FORMAT, "nodes": nodes, "edges": _edges(pipeline)}


def seconds_key(node_name: str) -> str:
    """The metric that holds how long a node's function took."""
    return safe_key(f"{SECONDS}{node_name}")


def _describe_node(node: Any, execution: Execution) -> dict[str, Any]:
    time = execution.times.get(node.name)
    return {
        "name": node.name,
        "function": f"{getattr(node.func, '__module__', '')}.{getattr(node.func, '__qualname__', '')}",
        "namespace": node.namespace,
        "tags": sorted(node.tags),
        "inputs": [name for name in node.inputs if not is_param(name)],
        "params": [name for name in node.inputs if is_param(name)],
        "outputs": list(node.outputs),
        "status": None if time is None else "failed" if time.failed else "finished",
        "seconds": None if time is None else time.seconds,
        "started": None if time is None else time.started,
        "ended": None if time is None else time.ended,
    }


def _tell_unseen(unseen: list[dict[str, Any]], nodes: list[dict[str, Any]], catalog: Any, execution: Execution) -> None:
    """What became of nodes that did not run: their outputs were there, they were left out, or it never came to them."""
    if execution.complete:
        status = "cached" if execution.only_missing_outputs else "skipped"
        for node in unseen:
            node["status"] = status
        return
    left_out: set[str] = set()
    if execution.only_missing_outputs:
        left_out = _made_before(nodes) | {node["name"] for node in unseen if _outputs_are_there(node, catalog)}
    for node in unseen:
        node["status"] = "cached" if node["name"] in left_out else "not_reached"


def _made_before(nodes: list[dict[str, Any]]) -> set[str]:
    """The nodes that did not run although others that need their outputs did."""
    needed = {_base(name) for node in nodes if node["status"] is not None for name in node["inputs"]}
    return {
        node["name"] for node in nodes if node["status"] is None and needed & {_base(name) for name in node["outputs"]}
    }


def _outputs_are_there(node: dict[str, Any], catalog: Any) -> bool:
    known = catalog.keys()
    stored = [name for name in node["outputs"] if name in known and not lives_in_memory(catalog.get(name))]
    return bool(stored) and all(catalog.exists(name) for name in stored)


def _base(name: str) -> str:
    return name.partition("@")[0]


def _edges(pipeline: Any) -> list[dict[str, str]]:
    """Who gives what to whom; transcoded names (``table@spark``) are one dataset."""
    makers = {_base(name): node.name for node in pipeline.nodes for name in node.outputs}
    return [
        {"source": makers[_base(name)], "target": node.name, "dataset": _base(name)}
        for node in pipeline.nodes
        for name in node.inputs
        if _base(name) in makers
    ]
