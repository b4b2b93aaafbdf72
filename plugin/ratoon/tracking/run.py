"""The active run: what user code logs to."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from ratoon.clock import now_ms
from ratoon.entities import Dataset, DatasetInput, Metric, Model, Run, RunStatus
from ratoon.errors import InvalidInput
from ratoon.manager import notify
from ratoon.stores.limits import INT64, MAX_PARAM, MAX_TAG, check_key, check_metric, check_text
from ratoon.tracking.files import FileLogging
from ratoon.tracking.writer import Param, Tag

if TYPE_CHECKING:
    from ratoon.tracking.client import Client
    from ratoon.tracking.system_metrics import SystemMetrics


class ActiveRun(FileLogging):
    """A run that is written to. As a context manager it ends the run: FINISHED, FAILED or KILLED.

    Params, metrics and tags wait for neither disk nor network: :meth:`flush` and :meth:`end` do. Files and datasets are
    durable when the call returns.
    """

    def __init__(self, client: Client, run: Run) -> None:
        self.client = client
        self.info = run
        self.run_id = run.run_id
        self.experiment_id = run.experiment_id
        self._put = client.writer.put
        self._params = dict(run.params)
        self._metrics: set[str] = set()
        self._datasets = {(each.dataset.name, each.dataset.digest) for each in run.inputs}
        self._sampling: SystemMetrics | None = None

    def log_param(self, key: str, value: object) -> None:
        """Record a param; it is written once, another value under the same key is InvalidInput."""
        check_key("param", key)
        text = str(value)
        check_text(f"value of param {key!r}", text, MAX_PARAM)
        known = self._params.setdefault(key, text)
        if known != text:
            raise InvalidInput(
                f"param {key!r} of run '{self.run_id}' is {known!r} and cannot become {text!r}; log it under another"
                " key, or start a new run"
            )
        self._put(self.run_id, Param(key, text))

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record several params."""
        for key, value in params.items():
            self.log_param(key, value)

    def log_metric(
        self,
        key: str,
        value: float,
        step: int = 0,
        timestamp: int | None = None,
        *,
        model_id: str | None = None,
        dataset: Dataset | None = None,
    ) -> None:
        """Record one point of a metric.

        Args:
            key: The metric's name.
            value: Anything that ``float`` takes; NaN and the infinities are kept as they are.
            step: Where in the training the point lies.
            timestamp: Milliseconds since the epoch; now if None.
            model_id: The logged model that was measured; the point belongs to it, too.
            dataset: What the model was measured on; the run has used it then.
        """
        if type(value) is not float or type(step) is not int:
            value, step = _numbers(key, value, step)
        now = time_ns() // 1_000_000 if timestamp is None else timestamp
        metric = Metric(key, value, now, step)
        if model_id is not None or dataset is not None:
            metric = self._measured(metric, model_id, dataset)
        # What passed once need not be looked at again: these few comparisons take a fifth of the time.
        known = type(key) is str and key in self._metrics and type(now) is int and metric.model_id is None
        if not (known and -INT64 <= step < INT64 and -INT64 <= now < INT64):
            check_metric(metric)
            self._metrics.add(key)
        self._put(self.run_id, metric)

    def log_metrics(
        self,
        metrics: Mapping[str, float],
        step: int = 0,
        timestamp: int | None = None,
        *,
        model_id: str | None = None,
        dataset: Dataset | None = None,
    ) -> None:
        """Record one point of several metrics, all with the same timestamp, model and dataset."""
        now = now_ms() if timestamp is None else timestamp
        for key, value in metrics.items():
            self.log_metric(key, value, step, now, model_id=model_id, dataset=dataset)

    def log_system_metrics(self, interval: float = 10.0) -> None:
        """Record in the background how busy the machine is, every so many seconds until the run ends.

        Raises:
            MissingExtra: psutil is not installed.
        """
        from ratoon.tracking.system_metrics import SystemMetrics

        if self._sampling is None:
            self._sampling = SystemMetrics(self, interval)

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag; what it was before is overwritten."""
        check_key("tag", key)
        text = str(value)
        check_text(f"value of tag {key!r}", text, MAX_TAG)
        self._put(self.run_id, Tag(key, text))

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set several tags."""
        for key, value in tags.items():
            self.set_tag(key, value)

    def log_input(self, dataset: Dataset, context: str = "") -> None:
        """Record a dataset that the run used; ``context`` tells for what, "training" for example."""
        tags = {"mlflow.data.context": context} if context else {}
        self.client.tracking.log_inputs(self.run_id, [DatasetInput(dataset=dataset, tags=tags)])
        self._datasets.add((dataset.name, dataset.digest))

    def log_model(self, model: object, name: str = "model", **options: Any) -> Model:
        """Package a model and keep it with the run. See :func:`ratoon.tracking.models.log_model` for the options."""
        from ratoon.tracking.models import log_model

        return log_model(self, model, name, **options)

    def _measured(self, metric: Metric, model_id: str | None, dataset: Dataset | None) -> Metric:
        """The point with the model and the dataset that it belongs to; the dataset becomes an input of the run."""
        name, digest = (dataset.name, dataset.digest) if dataset is not None and model_id is not None else (None, None)
        found = msgspec.structs.replace(metric, model_id=model_id, dataset_name=name, dataset_digest=digest)
        check_metric(found)
        if dataset is not None and (dataset.name, dataset.digest) not in self._datasets:
            self.log_input(dataset)
        return found

    def flush(self) -> None:
        """Return when everything that was logged before is durable; StoreError if it cannot be written."""
        self.client.writer.flush(self.run_id)

    def end(self, status: RunStatus = RunStatus.FINISHED) -> None:
        """Make everything durable and close the run."""
        if self._sampling is not None:
            self._sampling.stop()
        try:
            self.flush()
        finally:  # a value that the store refused must not leave the run open for ever
            self.info = self.client.tracking.update_run(self.run_id, status=status, end_time=now_ms())
            notify(self.client.manager, "run_finished", run=self.info)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(status_after(error))


def _numbers(key: str, value: object, step: object) -> tuple[float, int]:
    """A metric's value and step as Python's own numbers, whatever library they are from."""
    if isinstance(value, (str, bytes, bool)):
        raise InvalidInput(f"metric {key!r} cannot take the value {value!r}; give a number, or log it as a param")
    try:
        return float(value), operator.index(step)  # type: ignore[arg-type]  # what they do not take raises TypeError
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(f"metric {key!r} cannot take the value {value!r} at step {step!r}; give numbers") from error


def status_after(error: BaseException | None) -> RunStatus:
    """How a run ended that was left with an exception, or with none."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return RunStatus.FINISHED
    return RunStatus.FAILED if isinstance(error, Exception) else RunStatus.KILLED
