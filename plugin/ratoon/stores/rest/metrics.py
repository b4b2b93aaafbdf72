"""The history of metrics behind a server."""

from __future__ import annotations

from ratoon.remote.connection import RATOON
from ratoon.stores.rest.part import RestPart
from ratoon.stores.series import MetricSeries, empty_series, from_blocks, in_order, sample

POINTS_IN_A_PAGE = 25_000


class RestMetrics(RestPart):
    """See :class:`ratoon.stores.protocol.MetricStore` for each method."""

    def metric_history(self, run_id: str, key: str) -> MetricSeries:
        """Every point of a metric, in the order of step and timestamp; no points for a key that was not logged."""
        if self._connection.is_ratoon:
            return self._block("history", {"run_id": run_id, "key": key}, key)
        series = empty_series(key)
        token: str | None = None
        while True:
            answer = self._connection.get(
                "/metrics/get-history", run_id=run_id, metric_key=key, max_results=POINTS_IN_A_PAGE, page_token=token
            )
            for point in answer.get("metrics") or ():
                series.steps.append(int(point.get("step") or 0))
                series.timestamps.append(int(point.get("timestamp") or 0))
                series.values.append(float(point.get("value", 0.0)))
            token = answer.get("next_page_token")
            if not token:
                break
        if not series.values:  # that server has no points of a run that is not there, either
            self._connection.get("/runs/get", run_id=run_id)
        return in_order(series)

    def metric_sample(self, run_id: str, key: str, points: int) -> MetricSeries:
        """About so many points that show the shape of a metric; MLflow's server has to send all of them for it."""
        if self._connection.is_ratoon:
            return self._block("sample", {"run_id": run_id, "key": key, "points": points}, key)
        return sample(self.metric_history(run_id, key), points)

    def _block(self, what: str, body: dict[str, object], key: str) -> MetricSeries:
        block = self._connection.request("POST", f"{RATOON}/metrics/{what}", body=body).content
        return from_blocks(key, [block])
