"""The active run: what user code logs to."""

from __future__ import annotations

import io
import json
import math
import mimetypes
import operator
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from ratoon.artifacts.paths import check_path, join
from ratoon.clock import now_ms
from ratoon.entities import Dataset, DatasetInput, Metric, Model, Run, RunStatus
from ratoon.errors import InvalidInput
from ratoon.manager import notify
from ratoon.stores.limits import MAX_PARAM, MAX_TAG, check_key, check_metric, check_text
from ratoon.tracking.locations import artifact_key
from ratoon.tracking.writer import Param, Tag

if TYPE_CHECKING:
    from ratoon.tracking.client import Client


class ActiveRun:
    """A run that is written to. As a context manager it ends the run: FINISHED, FAILED or KILLED.

    Params, metrics and tags wait for neither disk nor network: :meth:`flush` and :meth:`end` do. Files and datasets are
    durable when the call returns.
    """

    def __init__(self, client: Client, run: Run) -> None:
        self.client = client
        self.info = run
        self.run_id = run.run_id
        self.experiment_id = run.experiment_id
        self._params = dict(run.params)

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
        self.client.writer.put(self.run_id, Param(key, text))

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record several params."""
        for key, value in params.items():
            self.log_param(key, value)

    def log_metric(self, key: str, value: float, step: int = 0, timestamp: int | None = None) -> None:
        """Record one point of a metric.

        Args:
            key: The metric's name.
            value: Anything that ``float`` takes; NaN and the infinities are kept as they are.
            step: Where in the training the point lies.
            timestamp: Milliseconds since the epoch; now if None.
        """
        try:
            number = math.nan if isinstance(value, (str, bytes, bool)) else float(value)
            metric = Metric(key, number, now_ms() if timestamp is None else timestamp, operator.index(step))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(
                f"metric {key!r} cannot take the value {value!r} at step {step!r}; give numbers"
            ) from error
        if isinstance(value, (str, bytes, bool)):
            raise InvalidInput(f"metric {key!r} cannot take the value {value!r}; give a number, or log it as a param")
        check_metric(metric)
        self.client.writer.put(self.run_id, metric)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Record one point of several metrics."""
        now = now_ms()
        for key, value in metrics.items():
            self.log_metric(key, value, step, now)

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag; what it was before is overwritten."""
        check_key("tag", key)
        text = str(value)
        check_text(f"value of tag {key!r}", text, MAX_TAG)
        self.client.writer.put(self.run_id, Tag(key, text))

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set several tags."""
        for key, value in tags.items():
            self.set_tag(key, value)

    def log_artifact(self, local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Keep a file, or a folder with everything in it.

        Args:
            local_path: The file; a link in a folder is refused, since it could lead anywhere.
            artifact_path: The folder of the run's artifacts to put it in; their root if None.
        """
        path = Path(local_path)
        if path.is_dir():
            self.log_artifacts(path, join(artifact_path or "", path.name))
            return
        self._store_file(path, join(artifact_path or "", path.name))

    def log_artifacts(self, folder: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Keep everything that a folder holds, under the same names."""
        root = Path(folder)
        if not root.is_dir():
            raise InvalidInput(f"folder '{root}' does not exist; give one that does")
        for path in files_below(root):
            self._store_file(path, join(artifact_path or "", path.relative_to(root).as_posix()))

    def log_text(self, text: str, artifact_file: str) -> None:
        """Keep a text as a file, in UTF-8."""
        try:
            content = text.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"text '{artifact_file}' holds a lone surrogate; remove it, or log a file") from error
        self._store(io.BytesIO(content), artifact_file)

    def log_dict(self, value: Mapping[str, Any] | list[Any], artifact_file: str) -> None:
        """Keep a value as a JSON file, or as YAML if the name ends so."""
        if mimetypes.guess_type(artifact_file)[0] == "application/yaml" or artifact_file.endswith((".yml", ".yaml")):
            import yaml

            text = yaml.safe_dump(value, sort_keys=False)
        else:
            text = json.dumps(value, indent=2, default=str)
        self.log_text(text, artifact_file)

    def log_input(self, dataset: Dataset, context: str = "") -> None:
        """Record a dataset that the run used; ``context`` tells for what, "training" for example."""
        tags = {"mlflow.data.context": context} if context else {}
        self.client.tracking.log_inputs(self.run_id, [DatasetInput(dataset=dataset, tags=tags)])

    def log_model(self, model: object, name: str = "model", **options: Any) -> Model:
        """Package a model and keep it with the run. See :func:`ratoon.tracking.models.log_model` for the options."""
        from ratoon.tracking.models import log_model

        return log_model(self, model, name, **options)

    def flush(self) -> None:
        """Return when everything that was logged before is durable; StoreError if it cannot be written."""
        self.client.writer.flush(self.run_id)

    def end(self, status: RunStatus = RunStatus.FINISHED) -> None:
        """Make everything durable and close the run."""
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

    def _store_file(self, path: Path, artifact_file: str) -> None:
        try:
            with open(path, "rb") as stream:
                self._store(stream, artifact_file)
        except OSError as error:
            raise InvalidInput(f"file '{path}' cannot be read ({error.strerror}); give one that can") from error

    def _store(self, stream: BinaryIO, artifact_file: str) -> None:
        check_path(artifact_file)
        self.client.artifacts.write(join(artifact_key(self.info.artifact_uri), artifact_file), stream)
        notify(self.client.manager, "artifact_logged", run_id=self.run_id, path=artifact_file)


def files_below(folder: Path) -> Iterable[Path]:
    """Every file of a folder and its subfolders, in order; InvalidInput at a link, which could lead anywhere."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise InvalidInput(f"folder '{folder}' holds the link '{path.relative_to(folder)}'; replace it by a copy")
        if path.is_file():
            yield path


def status_after(error: BaseException | None) -> RunStatus:
    """How a run ended that was left with an exception, or with none."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return RunStatus.FINISHED
    return RunStatus.FAILED if isinstance(error, Exception) else RunStatus.KILLED
