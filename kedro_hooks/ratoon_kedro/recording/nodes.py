"""What is recorded while nodes run, in whichever process and thread that happens."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

from ratoon.clock import now_ms
from ratoon.tracking import surrounding
from ratoon_kedro.describing.graph import FAILED_NODE, seconds_key
from ratoon_kedro.describing.run_folder import NodeTime, note_time
from ratoon_kedro.guarding import guard
from ratoon_kedro.pipeline_models.values import keep_values
from ratoon_kedro.recording.outputs import Output, record_output
from ratoon_kedro.recording.params import is_param, received_params
from ratoon_kedro.recording.recorded_datasets import record_dataset, settle_chunks, write_inputs
from ratoon_kedro.state import Tracked, known_run

__all__ = ["Saving", "dataset_saved", "expect_saves", "guard", "node_ends", "node_fails", "node_starts", "settle"]

logger = logging.getLogger(__name__)


class Saving(NamedTuple):
    """A node whose outputs are being saved."""

    tracked: Tracked
    catalog: Any
    node: Any


# A node's outputs are saved by the thread that ran it, after it was told that the node had run; the hooks around a save
# are told neither the catalog nor the run.
_saving: ContextVar[Saving | None] = ContextVar("ratoon_saving", default=None)


def node_starts(tracked: Tracked, node: Any, catalog: Any, inputs: Mapping[str, object]) -> None:
    """Record what a node received: parameters, and the datasets that were loaded for it."""
    with guard(f"record the parameters of node {node.name!r}", tracked.context):
        _log_params(tracked, inputs)
    for name, value in inputs.items():
        if not is_param(name):
            with guard(f"record the dataset {name!r}", tracked.context):
                record_dataset(tracked, catalog, name, value, saved=False)
    surrounding.enter(tracked.run)
    tracked.started[node.name] = time.perf_counter()


def node_ends(saving: Saving, inputs: Mapping[str, object], outputs: Mapping[str, object]) -> None:
    """Record how long a node took, and what is worth recording among what it returned."""
    tracked, catalog, node = saving
    if inspect.isgeneratorfunction(node.func):  # it has not begun: it works while what it gives is saved
        tracked.generating[node.name] = node, time.perf_counter()
    else:
        _note_time(tracked, node)
        surrounding.leave(tracked.run)
    if outputs:
        tracked.unsaved[node.name] = set(outputs)
    beside = {**inputs, **outputs}
    for name, value in outputs.items():
        with guard(f"record the output {name!r} of node {node.name!r}", tracked.context):
            record_output(tracked, Output(catalog, name, value, inputs, beside))
    if tracked.context.plan.kept:
        with guard(f"keep what node {node.name!r} returned for a pipeline model", tracked.context):
            keep_values(tracked, outputs)
    _flush_worker(tracked)


def node_fails(tracked: Tracked, node: Any) -> None:
    """Record which node failed, and after which time."""
    _note_time(tracked, node, failed=True)
    surrounding.leave(tracked.run)
    tracked.run.set_tag(FAILED_NODE, node.name)
    _flush_worker(tracked)


def expect_saves(saving: Saving | None) -> None:
    """Remember for this thread whose outputs are saved next; None for nobody's."""
    before = _saving.get()
    if before is not None and saving is None:
        _end_generator(before.tracked, before.node.name)
    _saving.set(saving)


def dataset_saved(name: str, data: object, node: Any) -> None:
    """Record a dataset that this thread has just saved."""
    saving = _saving.get()
    if saving is None or saving.node is not node or known_run(saving.tracked.context.run_id) is not saving.tracked:
        return
    tracked = saving.tracked
    if inspect.isgeneratorfunction(node.func):
        # One chunk of many: what the dataset looks like, and its files, are known when the last one is there.
        tracked.expect_chunks(name, saving.catalog)
        tracked.generating[node.name] = node, time.perf_counter()
        return
    with guard(f"record the dataset {name!r}", tracked.context):
        record_dataset(tracked, saving.catalog, name, data, saved=True)
    waiting = tracked.unsaved.get(node.name, set())
    waiting.discard(name)
    if not waiting:
        tracked.unsaved.pop(node.name, None)
        _saving.set(None)
        with guard("record the datasets", tracked.context):
            write_inputs(tracked, now=tracked.owned is None)


def settle(tracked: Tracked) -> None:
    """Finish what was put off while nodes ran; called when this process will run no more of them."""
    with guard("record what was saved in chunks", tracked.context):
        for name in list(tracked.generating):
            _end_generator(tracked, name)
        settle_chunks(tracked)
    with guard("record the datasets", tracked.context):
        write_inputs(tracked, now=True)
    with guard("keep the files of datasets", tracked.context):
        tracked.uploads.finish()


def _flush_worker(tracked: Tracked) -> None:
    """Make everything durable, if this is a worker process: nobody tells it when the run ends."""
    if tracked.owned is None:
        with guard("record the datasets", tracked.context):
            write_inputs(tracked, now=True)
        tracked.run.flush()


def _log_params(tracked: Tracked, inputs: Mapping[str, object]) -> None:
    received = received_params(inputs, tracked.context.redactor)
    if not received:
        return
    selection = tracked.context.config.params
    if not selection.is_everything:
        received = {key: value for key, value in received.items() if selection.picks(key)}
    with tracked.lock:
        new = {key: value for key, value in received.items() if key not in tracked.params}
        other = [key for key, value in received.items() if tracked.params.get(key, value) != value]
        tracked.params |= new
    if new:
        tracked.run.log_params(new)
    if other:
        raise ValueError(f"{', '.join(other)} had another value before in this run; the first one is kept")


def _end_generator(tracked: Tracked, name: str) -> None:
    """Note that a node which gives its outputs piece by piece has given the last one."""
    node, last = tracked.generating.pop(name, (None, 0.0))
    if node is not None:
        _note_time(tracked, node, last)
        surrounding.leave(tracked.run)


def _note_time(tracked: Tracked, node: Any, until: float | None = None, *, failed: bool = False) -> None:
    """Record how long a node's function took, with the run and for the one who ends it."""
    began = tracked.started.pop(node.name, None)
    if began is None:
        return
    now = time.perf_counter()
    until = now if until is None else until
    seconds, ended = until - began, now_ms() - round((now - until) * 1000)
    tracked.run.log_metric(seconds_key(node.name), seconds, timestamp=ended)
    started = ended - round(seconds * 1000)
    noted = NodeTime(node=node.name, started=started, ended=ended, seconds=seconds, failed=failed)
    if tracked.owned is not None:
        tracked.times[node.name] = noted
    elif tracked.context.folder is not None:
        with guard(f"tell the main process about node {node.name!r}", tracked.context):
            note_time(tracked.context.folder, noted)
