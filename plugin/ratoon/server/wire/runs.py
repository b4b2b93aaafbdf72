"""Messages about runs and what they log."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ratoon.entities import DatasetInput, Metric, Run, RunStatus, ViewType
from ratoon.server.wire.fields import Int64, Json, KeyValue, Required, Search, given, number, pairs, required

# MLflow's limits are 1,000, 100 and 100; ours keep a request short, its own client never comes near them.
MOST_METRICS = 10_000
MOST_PAIRS = 1_000


class CreateRun(Struct, frozen=True):
    """``runs/create``; ``run_id`` is an extension, that makes it safe to ask twice."""

    experiment_id: str | None = None
    user_id: str | None = None
    run_name: str | None = None
    start_time: Int64 | None = None
    tags: list[KeyValue] | None = None
    run_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None = None


class OneRun(Struct, frozen=True, kw_only=True):
    """``runs/get``, ``delete`` and ``restore``; older clients call the id ``run_uuid``."""

    run_id: str | None = None
    run_uuid: str | None = None

    @property
    def run(self) -> str:
        """The id of the run."""
        return required("run_id", self.run_id, self.run_uuid)


class UpdateRun(OneRun, frozen=True, kw_only=True):
    """``runs/update``."""

    status: RunStatus | None = None
    end_time: Int64 | None = None
    run_name: str | None = None


class SearchRuns(Search, frozen=True):
    """``runs/search``."""

    experiment_ids: list[str] | None = None
    run_view_type: ViewType | None = None


class MetricPoint(Struct, frozen=True, kw_only=True):
    """A point of a metric."""

    key: Required
    value: float
    timestamp: Int64
    step: Int64 | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LogMetric(MetricPoint, frozen=True, kw_only=True):
    """``runs/log-metric``."""

    run_id: str | None = None
    run_uuid: str | None = None

    @property
    def run(self) -> str:
        """The id of the run."""
        return required("run_id", self.run_id, self.run_uuid)


class LogParam(OneRun, frozen=True, kw_only=True):
    """``runs/log-parameter``."""

    key: Required
    value: str = ""


class SetTag(OneRun, frozen=True, kw_only=True):
    """``runs/set-tag``."""

    key: Required
    value: str = ""


class DeleteTag(OneRun, frozen=True, kw_only=True):
    """``runs/delete-tag``."""

    key: Required


class LogBatch(OneRun, frozen=True, kw_only=True):
    """``runs/log-batch``."""

    metrics: Annotated[list[MetricPoint], Meta(max_length=MOST_METRICS)] | None = None
    params: Annotated[list[KeyValue], Meta(max_length=MOST_PAIRS)] | None = None
    tags: Annotated[list[KeyValue], Meta(max_length=MOST_PAIRS)] | None = None


class MetricHistory(OneRun, frozen=True, kw_only=True):
    """``metrics/get-history``."""

    metric_key: Required
    max_results: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    page_token: str | None = None


class BulkInterval(Struct, frozen=True, kw_only=True):
    """``metrics/get-history-bulk-interval``."""

    metric_key: Required
    run_ids: Annotated[list[str], Meta(max_length=100)] | None = None
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Annotated[int, Meta(ge=1, le=2500)] | None = None


def metric_of(point: MetricPoint) -> Metric:
    """The point as the stores know it."""
    return Metric(
        point.key,
        point.value,
        point.timestamp,
        point.step or 0,
        point.model_id or None,
        point.dataset_name or None,
        point.dataset_digest or None,
    )


def metric_json(metric: Metric) -> Json:
    """A ``Metric``."""
    answer: Json = {
        "key": metric.key,
        "value": number(metric.value),
        "timestamp": metric.timestamp,
        "step": metric.step,
    }
    for name in ("dataset_name", "dataset_digest", "model_id", "run_id"):
        if value := getattr(metric, name):
            answer[name] = value
    return answer


def info_json(run: Run) -> Json:
    """A ``RunInfo``."""
    return given(
        {
            "run_uuid": run.run_id,
            "run_id": run.run_id,
            "run_name": run.run_name,
            "experiment_id": run.experiment_id,
            "user_id": run.user_id,
            "status": run.status,
            "start_time": run.start_time,
            "end_time": run.end_time,
            "artifact_uri": run.artifact_uri,
            "lifecycle_stage": run.lifecycle_stage,
        }
    )


def run_json(run: Run) -> Json:
    """A ``Run``."""
    data = {
        "metrics": [metric_json(metric) for metric in run.metrics.values()],
        "params": pairs(run.params),
        "tags": pairs(run.tags),
    }
    inputs = {
        "dataset_inputs": [_input_json(each) for each in run.inputs],
        "model_inputs": [{"model_id": model_id} for model_id in run.model_inputs],
    }
    outputs = [{"model_id": output.model_id, "step": output.step} for output in run.model_outputs]
    answer = {"info": info_json(run), "data": given(data), "inputs": given(inputs)}
    return answer | ({"outputs": {"model_outputs": outputs}} if outputs else {})


def _input_json(found: DatasetInput) -> Json:
    dataset = found.dataset
    described = {
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": dataset.source_type,
        "source": dataset.source,
        "schema": dataset.schema,
        "profile": dataset.profile,
    }
    return given({"tags": pairs(found.tags), "dataset": given(described)})
