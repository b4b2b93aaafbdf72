"""The metrics of a run as a dataset: saved to it, and loaded from it or from another one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratoon.errors import NotFound, StoreError
from ratoon_kedro.datasets.keeping import private_folder, replacing
from ratoon_kedro.datasets.place import Place, RunDataset
from ratoon_kedro.datasets.series import Points, below, points_of
from ratoon_kedro.recording.params import safe_key

if TYPE_CHECKING:
    from ratoon.tracking.run import ActiveRun

DEFAULT_PREFIX = "metrics"
FILE_NAME = "metrics.json"
RUNS = 50  # so many are looked through for metrics, where no run is open


class MetricsDataset(RunDataset):
    """Logs a number, a dict of numbers or a history to the tracked run, and loads the run's metrics again.

    ``save`` takes a number, a list of numbers (the steps from 0 on), ``{"value": …, "step": …}`` or a list of these,
    and mappings of all that. ``load`` gives a dict of the last values by name, without the prefix; a number if a number
    was saved. Without a tracked run what is saved is kept until the process ends.

    ::

        evaluation:
          type: ratoon_kedro.datasets.MetricsDataset   # {"accuracy": 0.9} is the metric evaluation.accuracy

    Args:
        prefix: What the names begin with, followed by a dot; the dataset's name if None, nothing if empty.
        run_id: The run to load from; if None the one that is open, or the newest that has such metrics if none is.
        history: Whether ``load`` gives a list of all values of each metric, in the order of their steps.
        credentials: What the server asks for: ``token``, or ``username`` and ``password``.
        metadata: For other plugins.
    """

    _RATOON = "metrics"

    def __init__(
        self,
        *,
        prefix: str | None = None,
        run_id: str | None = None,
        history: bool = False,
        credentials: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._given_prefix = prefix
        self._run_id = run_id
        self._history = history
        self._credentials = credentials
        self.metadata = metadata
        self._kept_in = private_folder(self)

    def save(self, data: Any) -> None:
        """Log the metrics; they are durable when the call returns, for a node in another process may load them.

        If the run's store fails, they are kept as without a run.
        """
        points = {safe_key(name): series for name, series in points_of(self._prefix, data).items()}
        with self._place_to_save() as place:
            if place.run is None:
                self._keep(points)
                return
            try:
                _log(points, place.run)
            except StoreError as error:
                self._keep(points)
                self._forgive(f"log metrics {self._prefix!r}", error)
            else:
                shutil.rmtree(self._kept_in, ignore_errors=True)

    def load(self) -> Any:
        """The run's metrics under the prefix.

        Raises:
            DatasetError: There are none.
        """
        with self._place() as place:
            found = self._found(place)
        if not found:
            raise NotFound(
                f"metrics {self._prefix!r} are not there (the run has logged none of them); save them before, "
                "or give the dataset the run_id of a run that has"
            )
        return found[""] if set(found) == {""} else found

    @property
    def _prefix(self) -> str:
        if self._given_prefix is not None:
            return self._given_prefix
        return self._name or DEFAULT_PREFIX

    def _found(self, place: Place) -> dict[str, Any]:
        # Where the dataset is bound to a run, it has kept only what its store did not take.
        kept = self._kept() if place.run is None or self._binding is not None else {}
        if kept and self._run_id is None:
            names = below(self._prefix, kept)
            series = {name: [value for _, value in sorted(kept[key])] for name, key in names.items()}
            return series if self._history else {name: values[-1] for name, values in series.items()}
        run_id = self._run_id or (place.run.run_id if place.run else self._newest(place))
        if run_id is None:
            return {}
        if place.run is not None and place.run.run_id == run_id:
            place.run.flush()
        store = place.client.tracking
        metrics = store.get_run(run_id).metrics
        names = below(safe_key(self._prefix) if self._prefix else "", metrics)
        if self._history:
            return {name: list(store.metric_history(run_id, key).values) for name, key in names.items()}
        return {name: metrics[key].value for name, key in names.items()}

    def _newest(self, place: Place) -> str | None:
        """The newest of the experiment's runs that has such metrics."""
        from ratoon.entities import Query

        experiment_id = place.experiment_id()
        if experiment_id is None:
            return None
        runs = place.client.tracking.search_runs([experiment_id], Query(limit=RUNS)).items
        prefix = safe_key(self._prefix) if self._prefix else ""
        return next((run.run_id for run in runs if below(prefix, run.metrics)), None)

    def _keep(self, points: Mapping[str, Points]) -> None:
        together = {**self._kept(), **points}
        with replacing(self._kept_in) as folder:
            (folder / FILE_NAME).write_text(json.dumps(together), encoding="utf-8")

    def _kept(self) -> dict[str, Points]:
        path = self._kept_in / FILE_NAME
        found: dict[str, Points] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return found

    def _exists(self) -> bool:
        with self._place() as place:
            try:
                return bool(self._found(place))
            except NotFound:
                return False

    def _describe(self) -> dict[str, Any]:
        run_id = self._run_id or (self._binding.context.run_id if self._binding else None)
        path = f"runs:/{run_id}/metrics/{self._prefix}" if run_id else None
        return {"prefix": self._given_prefix, "run_id": self._run_id, "path": path}


def _log(points: Mapping[str, Points], run: ActiveRun) -> None:
    for name, series in points.items():
        for step, value in series:
            run.log_metric(name, value, step)
    run.flush()
