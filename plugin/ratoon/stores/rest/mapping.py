"""Between the JSON of MLflow's REST API and the values of :mod:`ratoon.entities`.

Numbers of 64 bits may come as strings, NaN and the infinities do; both go out the way MLflow's client sends them. What
the API leaves out because it is empty is empty here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ratoon.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    LifecycleStage,
    Metric,
    Model,
    ModelOutput,
    ModelStatus,
    ModelVersion,
    RegisteredModel,
    Run,
    RunStatus,
)

Json = Mapping[str, Any]

_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")

MODEL_STATUS = {
    "LOGGED_MODEL_PENDING": ModelStatus.PENDING,
    "LOGGED_MODEL_READY": ModelStatus.READY,
    "LOGGED_MODEL_UPLOAD_FAILED": ModelStatus.FAILED,
}
VERSION_STATUS = {
    "PENDING_REGISTRATION": ModelStatus.PENDING,
    "FAILED_REGISTRATION": ModelStatus.FAILED,
    "READY": ModelStatus.READY,
}
WIRE_MODEL_STATUS = {status: name for name, status in MODEL_STATUS.items()}
WIRE_VERSION_STATUS = {status: name for name, status in VERSION_STATUS.items()}


def to_experiment(found: Json) -> Experiment:
    """An experiment as the API shows it."""
    return Experiment(
        experiment_id=str(found["experiment_id"]),
        name=found["name"],
        artifact_location=found.get("artifact_location", ""),
        lifecycle_stage=LifecycleStage(found.get("lifecycle_stage", "active")),
        creation_time=int(found.get("creation_time") or 0),
        last_update_time=int(found.get("last_update_time") or 0),
        tags=to_dict(found.get("tags")),
    )


def to_run(found: Json) -> Run:
    """A run with its data, inputs and outputs."""
    info, data = found["info"], found.get("data") or {}
    inputs, outputs = found.get("inputs") or {}, found.get("outputs") or {}
    end = int(info.get("end_time") or 0)
    return Run(
        run_id=info["run_id"],
        run_name=info.get("run_name", ""),
        experiment_id=str(info["experiment_id"]),
        user_id=info.get("user_id", ""),
        status=RunStatus(info.get("status", "RUNNING")),
        start_time=int(info.get("start_time") or 0),
        end_time=end or None,  # the API's 0 is "none"
        artifact_uri=info.get("artifact_uri", ""),
        lifecycle_stage=LifecycleStage(info.get("lifecycle_stage", "active")),
        params=to_dict(data.get("params")),
        metrics={each["key"]: to_metric(each) for each in data.get("metrics") or ()},
        tags=to_dict(data.get("tags")),
        inputs=tuple(to_input(each) for each in inputs.get("dataset_inputs") or ()),
        model_inputs=tuple(each["model_id"] for each in inputs.get("model_inputs") or ()),
        model_outputs=tuple(
            ModelOutput(model_id=each["model_id"], step=int(each.get("step") or 0))
            for each in outputs.get("model_outputs") or ()
        ),
    )


def to_metric(found: Json, *, of_model: bool = False) -> Metric:
    """A point; the run that measured it is said only where the point belongs to a model."""
    return Metric(
        found["key"],
        float(found.get("value", 0.0)),
        int(found.get("timestamp") or 0),
        int(found.get("step") or 0),
        model_id=found.get("model_id") or None,
        dataset_name=found.get("dataset_name") or None,
        dataset_digest=found.get("dataset_digest") or None,
        run_id=(found.get("run_id") or None) if of_model else None,
    )


def to_input(found: Json) -> DatasetInput:
    """A dataset in its role."""
    data = found["dataset"]
    return DatasetInput(
        dataset=Dataset(
            name=data["name"],
            digest=data["digest"],
            source_type=data.get("source_type", ""),
            source=data.get("source", ""),
            schema=data.get("schema") or None,
            profile=data.get("profile") or None,
        ),
        tags=to_dict(found.get("tags")),
    )


def to_model(found: Json) -> Model:
    """A model that a run produced."""
    info, data = found["info"], found.get("data") or {}
    return Model(
        model_id=info["model_id"],
        experiment_id=str(info["experiment_id"]),
        name=info.get("name", ""),
        source_run_id=info.get("source_run_id") or None,
        artifact_uri=info.get("artifact_uri", ""),
        status=MODEL_STATUS.get(info.get("status", ""), ModelStatus.PENDING),
        creation_timestamp=int(info.get("creation_timestamp_ms") or 0),
        last_updated_timestamp=int(info.get("last_updated_timestamp_ms") or 0),
        model_type=info.get("model_type", ""),
        status_message=info.get("status_message", ""),
        lifecycle_stage=LifecycleStage(info.get("lifecycle_stage", "active")),
        params=to_dict(data.get("params")),
        tags=to_dict(info.get("tags")),
        metrics=_last([to_metric(each, of_model=True) for each in data.get("metrics") or ()]),
    )


def _last(points: Iterable[Metric]) -> tuple[Metric, ...]:
    """The last point of each metric, by run and dataset: MLflow's server tells all of them."""
    found: dict[tuple[str | None, ...], Metric] = {}
    for point in points:
        place = (point.run_id, point.key, point.dataset_name, point.dataset_digest)
        known = found.setdefault(place, point)
        if (point.step, point.timestamp) > (known.step, known.timestamp):
            found[place] = point
    return tuple(found.values())


def to_registered_model(found: Json) -> RegisteredModel:
    """A registered name; MLflow tells the last version of each stage."""
    return RegisteredModel(
        name=found["name"],
        creation_timestamp=int(found.get("creation_timestamp") or 0),
        last_updated_timestamp=int(found.get("last_updated_timestamp") or 0),
        description=found.get("description", ""),
        tags=to_dict(found.get("tags")),
        aliases={each["alias"]: int(each["version"]) for each in found.get("aliases") or ()},
        latest_version=max((int(each["version"]) for each in found.get("latest_versions") or ()), default=0),
    )


def to_version(found: Json) -> ModelVersion:
    """A version of a registered model."""
    return ModelVersion(
        name=found["name"],
        version=int(found["version"]),
        source=found.get("source", ""),
        creation_timestamp=int(found.get("creation_timestamp") or 0),
        last_updated_timestamp=int(found.get("last_updated_timestamp") or 0),
        run_id=found.get("run_id") or None,
        model_id=found.get("model_id") or model_id_of(found.get("source", "")),
        user_id=found.get("user_id", ""),
        description=found.get("description", ""),
        status=VERSION_STATUS.get(found.get("status", ""), ModelStatus.READY),
        run_link=found.get("run_link", ""),
        current_stage=found.get("current_stage") or "None",
        tags=to_dict(found.get("tags")),
        aliases=tuple(found.get("aliases") or ()),
    )


def to_dict(pairs: list[dict[str, str]] | None) -> dict[str, str]:
    """A mapping out of a list of keys and values."""
    return {each["key"]: each.get("value", "") for each in pairs or ()}


def from_dict(values: Mapping[str, str] | None) -> list[dict[str, str]]:
    """A list of keys and values out of a mapping."""
    return [{"key": key, "value": value} for key, value in (values or {}).items()]


def from_metric(metric: Metric) -> dict[str, Any]:
    """A point; what is not a finite number goes as text."""
    value = metric.value if math.isfinite(metric.value) else _as_text(metric.value)
    found = {"key": metric.key, "value": value, "timestamp": metric.timestamp, "step": metric.step}
    for name in ("model_id", "dataset_name", "dataset_digest"):
        given = getattr(metric, name)
        if given is not None:
            found[name] = given
    return found


def from_input(given: DatasetInput) -> dict[str, Any]:
    """A dataset in its role."""
    data = given.dataset
    dataset = {"name": data.name, "digest": data.digest, "source_type": data.source_type, "source": data.source}
    dataset |= {key: text for key, text in (("schema", data.schema), ("profile", data.profile)) if text is not None}
    return {"dataset": dataset, "tags": from_dict(given.tags)}


def model_id_of(source: str) -> str | None:
    """The model that a version's source names: MLflow's server stores it there alone."""
    name = source.removeprefix("models:/")
    return name if _MODEL_ID.fullmatch(name) else None


def _as_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
