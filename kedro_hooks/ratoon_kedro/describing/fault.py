"""Which node broke a pipeline: Kedro tells it for errors in a node's function, not for datasets that fail."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ratoon_kedro.recording.params import without_userinfo

LONGEST = 10**6  # characters of a traceback


def node_at_fault(error: BaseException, pipeline: Any, catalog: Any) -> str | None:
    """The name of the node that an error comes from; None if it cannot be known.

    In this process the error's own frames tell it. Those of a worker process are lost; what is known then is which
    nodes were under way, and which dataset the error is about.
    """
    frames = list(_frames(error))
    for frame in frames:
        if frame.f_globals.get("__name__") == "kedro.runner.task":
            node = frame.f_locals.get("node") or getattr(frame.f_locals.get("self"), "node", None)
            if node is not None:
                return str(node.name)
    under_way = next((found for frame in frames if (found := _under_way(frame, pipeline))), [])
    if len(under_way) > 1:
        under_way = [node for node in under_way if _is_about(error, node, catalog)]
    return str(under_way[0].name) if len(under_way) == 1 else None


def describe_error(error: BaseException) -> str:
    """The traceback, that of a worker process included, without the users of URLs."""
    text = without_userinfo("".join(traceback.format_exception(error)))
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}\n[…]\n{text[-LONGEST // 2 :]}"


def _frames(error: BaseException) -> Iterator[FrameType]:
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame
        step = step.tb_next


def _under_way(frame: FrameType, pipeline: Any) -> list[Any]:
    """The nodes that the runner whose frame this is had given to its workers and not got back."""
    known = frame.f_locals
    if not {"todo_nodes", "done_nodes", "futures"} <= set(known):
        return []
    return [node for node in pipeline.nodes if node not in known["todo_nodes"] and node not in known["done_nodes"]]


def _is_about(error: BaseException, node: Any, catalog: Any) -> bool:
    """Whether an error's text names a dataset of the node, as Kedro's errors of datasets do."""
    text = str(error)
    names = (*node.inputs, *node.outputs)
    if any(text.startswith(f"{name}: ") for name in names):
        return True
    return any(repr(catalog.get(name)) in text for name in names if name in catalog.keys())
