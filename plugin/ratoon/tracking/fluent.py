"""The functions for scripts and notebooks: they log to the run that is active here.

A run is active in the context (thread or task) that started it. A thread that started none logs to the one run that is
open in its process, so that a thread pool inside a run needs nothing; where several are open, one must be named. Where
somebody else tracks a run around the code, as in a Kedro node, that one is the active run.
"""

from __future__ import annotations

import atexit
import contextvars
import functools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ratoon.entities import Dataset, Model, RunStatus
from ratoon.errors import InvalidInput
from ratoon.settings import load_settings
from ratoon.tracking.client import Client
from ratoon.tracking.run import ActiveRun
from ratoon.tracking.surrounding import surrounding_run

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_stack: contextvars.ContextVar[tuple[FluentRun, ...]] = contextvars.ContextVar("ratoon_runs", default=())
_open: dict[str, FluentRun] = {}
_chosen: dict[str, str] = {}
_process = os.getpid()


class FluentRun(ActiveRun):
    """An active run that logging functions without a run go to until it ends."""

    def end(self, status: RunStatus = RunStatus.FINISHED) -> None:
        """Make everything durable, close the run and make the one around it active again."""
        _stack.set(tuple(run for run in _stack.get() if run is not self))
        _open.pop(self.run_id, None)
        super().end(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.run_id in _open:  # end_run() may have been called in the block
            super().__exit__(kind, error, traceback)


def set_tracking_uri(uri: str) -> None:
    """Keep what follows in another store."""
    _choose("tracking_uri", uri)


def set_experiment(name: str) -> None:
    """Put the runs that follow into this experiment, created if there is none."""
    _choose("experiment", name)


def get_client() -> Client:
    """The client behind these functions."""
    return _client(os.getcwd(), tuple(sorted(_chosen.items())))


def start_run(
    run_name: str | None = None,
    *,
    run_id: str | None = None,
    experiment: str | None = None,
    nested: bool = False,
    tags: Mapping[str, str] | None = None,
) -> FluentRun:
    """Start a run, or go on with ``run_id``, and make it the active one; best used in a ``with`` statement.

    Args:
        run_name: A name for people; a random one if None.
        run_id: The run to go on with; it is created under this id if there is none.
        experiment: Its experiment; the one that was set, or the settings', if None.
        nested: Whether it becomes a part of the run that is active now.
        tags: Tags to set.

    Raises:
        InvalidInput: A run is active in this context and ``nested`` was not asked for.
    """
    around = _around()
    if around and not nested:
        raise InvalidInput(f"run '{around[-1].run_id}' is active; end it with ratoon.end_run(), or pass nested=True")
    client = get_client()
    outer = around[-1] if around else surrounding_run() if nested else None
    parent = outer.run_id if outer is not None else None
    started = client.start_run(experiment=experiment, run_name=run_name, run_id=run_id, tags=tags, parent_run_id=parent)
    run = FluentRun(client, started.info)
    _stack.set((*around, run))
    _open[run.run_id] = run
    return run


def active_run() -> ActiveRun | None:
    """The run that the logging functions write to now; None if they would start one."""
    around = _around()
    if around:
        return around[-1]
    if (run := surrounding_run()) is not None:
        return run
    if len(_open) > 1:
        raise InvalidInput(
            f"{len(_open)} runs are open and none was started in this thread; log to one of them: run.log_metric(…)"
        )
    return next(iter(_open.values()), None)


def end_run(status: RunStatus = RunStatus.FINISHED) -> None:
    """End the active run; nothing happens if there is none."""
    run = active_run()
    if isinstance(run, FluentRun):  # one that somebody else tracks is not ours to end
        run.end(status)


def log_param(key: str, value: object) -> None:
    """Record a param of the active run; it is written once, another value is InvalidInput."""
    _run().log_param(key, value)


def log_params(params: Mapping[str, object]) -> None:
    """Record several params of the active run."""
    _run().log_params(params)


def log_metric(
    key: str,
    value: float,
    step: int = 0,
    timestamp: int | None = None,
    *,
    model_id: str | None = None,
    dataset: Dataset | None = None,
) -> None:
    """Record one point of a metric of the active run, and of a model that was measured on a dataset.

    The timestamp is in milliseconds, now if None.
    """
    _run().log_metric(key, value, step, timestamp, model_id=model_id, dataset=dataset)


def log_metrics(
    metrics: Mapping[str, float],
    step: int = 0,
    timestamp: int | None = None,
    *,
    model_id: str | None = None,
    dataset: Dataset | None = None,
) -> None:
    """Record one point of several metrics of the active run, and of a model that was measured on a dataset."""
    _run().log_metrics(metrics, step, timestamp, model_id=model_id, dataset=dataset)


def log_system_metrics(interval: float = 10.0) -> None:
    """Record in the background how busy the machine is, every so many seconds until the active run ends."""
    _run().log_system_metrics(interval)


def set_tag(key: str, value: object) -> None:
    """Set a tag of the active run."""
    _run().set_tag(key, value)


def set_tags(tags: Mapping[str, object]) -> None:
    """Set several tags of the active run."""
    _run().set_tags(tags)


def log_artifact(local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
    """Keep a file or a folder with the active run."""
    _run().log_artifact(local_path, artifact_path)


def log_artifacts(folder: str | os.PathLike[str], artifact_path: str | None = None) -> None:
    """Keep everything that a folder holds with the active run."""
    _run().log_artifacts(folder, artifact_path)


def log_stream(stream: BinaryIO, artifact_file: str) -> None:
    """Keep what a binary stream yields as a file of the active run."""
    _run().log_stream(stream, artifact_file)


def log_text(text: str, artifact_file: str) -> None:
    """Keep a text as a file of the active run."""
    _run().log_text(text, artifact_file)


def log_dict(value: Mapping[str, Any] | list[Any], artifact_file: str) -> None:
    """Keep a value as a JSON or YAML file of the active run."""
    _run().log_dict(value, artifact_file)


def log_figure(figure: Any, artifact_file: str, **options: Any) -> None:
    """Keep a figure of Matplotlib or Plotly with the active run; the options are for its own method of saving."""
    _run().log_figure(figure, artifact_file, **options)


def log_image(
    image: Any,
    artifact_file: str | None = None,
    *,
    key: str | None = None,
    step: int = 0,
    timestamp: int | None = None,
) -> None:
    """Keep a picture of Pillow or NumPy with the active run, under a name or as one of a series with a key."""
    _run().log_image(image, artifact_file, key=key, step=step, timestamp=timestamp)


def log_table(data: Any, artifact_file: str) -> None:
    """Keep a table with the active run, or add rows to the one of that name."""
    _run().log_table(data, artifact_file)


def log_input(dataset: Dataset, context: str = "") -> None:
    """Record a dataset that the active run used."""
    _run().log_input(dataset, context)


def log_model(model: object, name: str = "model", **options: Any) -> Model:
    """Package a model and keep it with the active run. See :func:`ratoon.tracking.models.log_model` for the options."""
    return _run().log_model(model, name, **options)


def flush() -> None:
    """Return when everything that was logged to the active run is durable."""
    run = active_run()
    if run is not None:
        run.flush()


def _run() -> ActiveRun:
    return active_run() or start_run()


def _around() -> tuple[FluentRun, ...]:
    """The runs that this context started and nobody, in whatever thread, has ended."""
    return tuple(run for run in _stack.get() if run.run_id in _open)


@atexit.register
def _end_open_runs() -> None:
    """A script that ends has ended its runs, too; one that died of an exception has failed them."""
    if os.getpid() != _process:
        return  # a forked process leaves its parent's runs alone
    status = RunStatus.FAILED if getattr(sys, "last_value", None) is not None else RunStatus.FINISHED
    for run in reversed(list(_open.values())):
        run.end(status)


def _choose(key: str, value: str) -> None:
    if _around():
        raise InvalidInput(f"the {key} cannot change while run '{_around()[-1].run_id}' is active; end it first")
    _chosen[key] = value


@functools.cache
def _client(folder: str, chosen: tuple[tuple[str, Any], ...]) -> Client:
    # The folder is part of the key because relative settings are resolved against it.
    return Client(load_settings(Path(folder), **dict(chosen)))
