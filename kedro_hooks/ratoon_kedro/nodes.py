"""What is recorded while nodes run, in whichever process and thread that happens."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from ratoon.errors import InvalidInput
from ratoon_kedro.context import RunContext
from ratoon_kedro.graph import FAILED_NODE, seconds_key
from ratoon_kedro.lineage import describe_dataset
from ratoon_kedro.outputs import record_output
from ratoon_kedro.params import is_param, received_params
from ratoon_kedro.state import Tracked, known_run

logger = logging.getLogger(__name__)


class Saving(NamedTuple):
    """A node whose outputs are being saved."""

    tracked: Tracked
    catalog: Any
    node: Any


# A node's outputs are saved by the thread that ran it, after it was told that the node had run; the hooks around a save
# are told neither the catalog nor the run.
_saving: ContextVar[Saving | None] = ContextVar("ratoon_saving", default=None)


@contextmanager
def guard(doing: str, context: RunContext | None) -> Iterator[None]:
    """Keep an error from breaking the user's run: one warning for each, unless the project asks for ``strict``."""
    try:
        yield
    except Exception as error:
        if context is not None and context.strict:
            raise
        message = f"ratoon could not {doing} ({type(error).__name__}: {error}); the pipeline goes on"
        tracked = known_run(context.run_id) if context is not None else None
        if tracked is None or message not in tracked.warned:
            logger.warning("%s", message)
            logger.debug("the cause:", exc_info=True)
        if tracked is not None:
            tracked.warned.add(message)


def node_starts(tracked: Tracked, node: Any, catalog: Any, inputs: Mapping[str, object]) -> None:
    """Record what a node received: parameters, and the datasets that were loaded for it."""
    with guard(f"record the parameters of node {node.name!r}", tracked.context):
        _log_params(tracked, node.name, inputs)
    for name, value in inputs.items():
        if not is_param(name):
            with guard(f"record the dataset {name!r}", tracked.context):
                _log_dataset(tracked, catalog, name, value, saved=False)
    tracked.started[node.name] = time.perf_counter()


def node_ends(tracked: Tracked, node: Any, inputs: Mapping[str, object], outputs: Mapping[str, object]) -> None:
    """Record how long a node took, and the metrics and models among what it returned."""
    _log_seconds(tracked, node)
    tracked.unsaved[node.name] = set(outputs)
    for name, value in outputs.items():
        with guard(f"record the output {name!r} of node {node.name!r}", tracked.context):
            record_output(tracked, name, value, {**inputs, **outputs})
    tracked.flush_if_attached()


def node_fails(tracked: Tracked, node: Any) -> None:
    """Record which node failed, and after which time."""
    _log_seconds(tracked, node)
    tracked.run.set_tag(FAILED_NODE, node.name)
    tracked.flush_if_attached()


def expect_saves(saving: Saving | None) -> None:
    """Remember for this thread whose outputs are saved next; None for nobody's."""
    _saving.set(saving)


def dataset_saved(name: str, data: object, node: Any) -> None:
    """Record a dataset that this thread has just saved."""
    saving = _saving.get()
    if saving is None or saving.node is not node or known_run(saving.tracked.context.run_id) is not saving.tracked:
        return
    tracked = saving.tracked
    if inspect.isgeneratorfunction(node.func):
        data = None  # one chunk of many, which is not what the dataset looks like
    with guard(f"record the dataset {name!r}", tracked.context):
        _log_dataset(tracked, saving.catalog, name, data, saved=True)
        tracked.flush_if_attached()
    waiting = tracked.unsaved.get(node.name, set())
    waiting.discard(name)
    if not waiting:
        tracked.unsaved.pop(node.name, None)
        _saving.set(None)


def node_at_fault(tracked: Tracked) -> str | None:
    """The only node that is under way; None if there is none or more than one."""
    under_way = set(tracked.started) | set(tracked.unsaved)
    return under_way.pop() if len(under_way) == 1 else None


def _log_params(tracked: Tracked, node_name: str, inputs: Mapping[str, object]) -> None:
    received = received_params(inputs, tracked.context.redactor)
    with tracked.lock:
        new = {key: value for key, value in received.items() if key not in tracked.params}
        other = [key for key, value in received.items() if tracked.params.get(key, value) != value]
        tracked.params |= new
    if new:
        tracked.run.log_params(new)
    if other:
        raise ValueError(f"{', '.join(other)} had another value before in this run; the first one is kept")


def _log_dataset(tracked: Tracked, catalog: Any, name: str, data: object, *, saved: bool) -> None:
    role, other = ("output", "input") if saved else ("input", "output")
    with tracked.lock:
        if (name, role) in tracked.datasets:
            return
        tracked.datasets.add((name, role))
    dataset = describe_dataset(catalog, name, data, saved=saved)
    if dataset is None:
        return
    try:
        tracked.run.log_input(dataset, role)
    except InvalidInput as error:
        if (name, other) not in tracked.datasets:
            raise
        # MLflow's own server keeps one role of a dataset in a run; the first one tells where it came from.
        logger.info("dataset %r is kept as %s only: %s", name, other, error)


def _log_seconds(tracked: Tracked, node: Any) -> None:
    started = tracked.started.pop(node.name, None)
    if started is not None:
        tracked.run.log_metric(seconds_key(node.name), time.perf_counter() - started)
