"""The history of metrics, page by page or sampled."""

from __future__ import annotations

from ratoon.errors import InvalidInput
from ratoon.server.endpoint import Answer, Call, Permission
from ratoon.server.wire.fields import Json, number, whole
from ratoon.server.wire.runs import BulkInterval, MetricHistory
from ratoon.stores.series import MetricSeries
from ratoon.tracking.client import Client

SAMPLE = 320


def history(client: Client, request: MetricHistory) -> Answer:
    """A page of a metric's points; all of them if no size is given. The token is the number of points before it."""
    start = whole("page token", request.page_token) if request.page_token else 0
    series = client.tracking.metric_history(request.run, request.metric_key)
    if start > len(series):
        raise InvalidInput("page token belongs to another listing; take it from the last answer, unchanged")
    stop = len(series) if request.max_results is None else min(len(series), start + request.max_results)
    points = [_point(series, index) for index in range(start, stop)]
    answer: Json = {"metrics": points} if points else {}
    return answer | ({"next_page_token": str(stop)} if stop < len(series) else {})


def bulk_interval(client: Client, request: BulkInterval) -> Answer:
    """Points that show the shape of a metric in several runs, within an interval of steps."""
    if not request.run_ids:
        raise InvalidInput("Missing value for required parameter 'run_ids'. Give at least one run")
    points: list[Json] = []
    for run_id in request.run_ids:
        whole_run = request.start_step is None and request.end_step is None
        wanted = request.max_results or SAMPLE
        series = (
            client.tracking.metric_sample(run_id, request.metric_key, wanted)
            if whole_run
            else client.tracking.metric_history(run_id, request.metric_key)
        )
        found = [index for index, step in enumerate(series.steps) if _is_within(step, request)]
        every = 1 if whole_run else max(1, len(found) // wanted)
        points += [_point(series, index) | {"run_id": run_id} for index in found[::every]]
    return {"metrics": points} if points else {}


def _is_within(step: int, request: BulkInterval) -> bool:
    return (request.start_step is None or step >= request.start_step) and (
        request.end_step is None or step <= request.end_step
    )


def _point(series: MetricSeries, index: int) -> Json:
    return {
        "key": series.key,
        "value": number(series.values[index]),
        "timestamp": series.timestamps[index],
        "step": series.steps[index],
    }


ROUTES = (
    Call("GET", "/metrics/get-history", history, Permission.READ, request=MetricHistory),
    Call("GET", "/metrics/get-history-bulk-interval", bulk_interval, Permission.READ, request=BulkInterval),
)
