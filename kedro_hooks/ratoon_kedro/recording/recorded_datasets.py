"""Which datasets are recorded, in which role, and when they are written: many with one call to the store."""

from __future__ import annotations

import logging
import threading
from typing import Any

from ratoon.entities import DatasetInput
from ratoon.errors import InvalidInput
from ratoon_kedro.guarding import guard
from ratoon_kedro.options.dataset_options import DatasetOptions
from ratoon_kedro.recording.files import keep_files
from ratoon_kedro.recording.lineage import Wanted, base_name, describe_dataset
from ratoon_kedro.state import Tracked

ROLE = "mlflow.data.context"

# Datasets gather for so many seconds, and no longer once so many are waiting.
_GATHER_SECONDS = 1.0
_GATHERED = 100

logger = logging.getLogger(__name__)


def record_dataset(tracked: Tracked, catalog: Any, name: str, data: object, *, saved: bool) -> None:
    """Record a dataset once in each role, and keep its files if that is wanted.

    Args:
        tracked: The run.
        catalog: Kedro's catalog.
        name: The dataset's name in it.
        data: What was loaded or saved; None if that is not the whole of it.
        saved: Whether it was saved.
    """
    options = tracked.options_of(catalog, name)
    if not options.log:
        return
    role = "output" if saved else "input"
    with tracked.lock:
        if (name, role) in tracked.datasets:
            return
        tracked.datasets.add((name, role))
    if saved:
        with guard(f"keep the files of dataset {name!r}", tracked.context):
            _keep_files(tracked, catalog, name, options)
    config = tracked.context.config.datasets
    if not config.picks(base_name(name)):
        return
    wanted = Wanted(
        name=options.name,
        content=(options.digest or config.digest) == "content",
        profile=config.profile,
        hides=tracked.context.redactor.hides,
    )
    dataset = describe_dataset(catalog, name, data, saved=saved, wanted=wanted)
    if dataset is not None:
        with tracked.lock:
            tracked.inputs.append(DatasetInput(dataset=dataset, tags={ROLE: role}))
            if tracked.owned is not None and tracked.writing is None:
                tracked.writing = _write_later(tracked)


def settle_chunks(tracked: Tracked) -> None:
    """Record the datasets that were saved piece by piece, as they are after the last piece."""
    with tracked.lock:
        chunked, tracked.chunked = tracked.chunked, {}
    for name, catalog in chunked.items():
        with guard(f"record the dataset {name!r}", tracked.context):
            record_dataset(tracked, catalog, name, None, saved=True)


def write_inputs(tracked: Tracked, *, now: bool) -> None:
    """Write the datasets that wait, at once or if there are many; else it is done a moment later by itself."""
    if not now and len(tracked.inputs) < _GATHERED:
        return
    with tracked.sending:  # who comes to the end of the run waits for what is under way
        with tracked.lock:
            waiting, tracked.inputs = tracked.inputs, []
            timer, tracked.writing = tracked.writing, None
        if timer is not None:
            timer.cancel()
        if waiting:
            _write(tracked, waiting)


def _write(tracked: Tracked, waiting: list[DatasetInput]) -> None:
    try:
        tracked.client.tracking.log_inputs(tracked.run.run_id, waiting)
    except InvalidInput:
        for each in waiting:
            with guard(f"record the dataset {each.dataset.name!r}", tracked.context):
                _write_alone(tracked, each)
    except Exception:
        with tracked.lock:
            tracked.inputs = [*waiting, *tracked.inputs]  # the next attempt takes them along
        raise


def _write_later(tracked: Tracked) -> threading.Timer:
    def write() -> None:
        try:
            write_inputs(tracked, now=True)
        except Exception as error:  # told by the attempt at the end of the run, if that fails, too
            logger.debug("datasets were not written yet: %s", error)

    timer = threading.Timer(_GATHER_SECONDS, write)
    timer.daemon = True
    timer.start()
    return timer


def _write_alone(tracked: Tracked, given: DatasetInput) -> None:
    name = given.dataset.name
    try:
        tracked.client.tracking.log_inputs(tracked.run.run_id, [given])
    except InvalidInput as error:
        if len([key for key in tracked.datasets if base_name(key[0]) == name]) < 2:
            raise
        # MLflow's own server keeps one role of a dataset in a run; the first one tells where it came from.
        logger.info("dataset %r is kept in one role only: %s", name, error)


def _keep_files(tracked: Tracked, catalog: Any, name: str, options: DatasetOptions) -> None:
    selection, short = tracked.context.config.artifacts, base_name(name)
    if options.artifact is False or not (options.artifact or selection.picks(short)):
        return
    stored = catalog.get(name)
    if getattr(stored, "_RATOON", None) is not None:  # keeps its files with the run itself
        return
    asked = options.artifact is True or short in (selection.include or ())
    keep_files(tracked, stored, options.name or short, asked=asked)
