"""Messages about logged models: what runs produced."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from ratoon.entities import Model, ModelStatus
from ratoon.server.wire.fields import Int64, Json, KeyValue, Required, given, pairs
from ratoon.server.wire.runs import metric_json


class WireStatus(StrEnum):
    """``LoggedModelStatus``."""

    LOGGED_MODEL_PENDING = "LOGGED_MODEL_PENDING"
    LOGGED_MODEL_READY = "LOGGED_MODEL_READY"
    LOGGED_MODEL_UPLOAD_FAILED = "LOGGED_MODEL_UPLOAD_FAILED"


class CreateModel(Struct, frozen=True, kw_only=True):
    """``POST logged-models``; the id and the time are extensions, that let a client choose them."""

    experiment_id: Required
    name: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    params: list[KeyValue] | None = None
    tags: list[KeyValue] | None = None
    model_id: Annotated[str, Meta(pattern="^m-[0-9a-f]{32}$")] | None = None
    creation_timestamp_ms: Int64 | None = None


class OneModel(Struct, frozen=True, kw_only=True):
    """``GET`` and ``DELETE logged-models/{model_id}``."""

    model_id: Required


class FinalizeModel(OneModel, frozen=True, kw_only=True):
    """``PATCH logged-models/{model_id}``."""

    status: WireStatus


class SetModelTags(OneModel, frozen=True, kw_only=True):
    """``PATCH logged-models/{model_id}/tags``."""

    tags: list[KeyValue] | None = None


class DeleteModelTag(OneModel, frozen=True, kw_only=True):
    """``DELETE logged-models/{model_id}/tags/{tag_key}``."""

    tag_key: Required


class LogModelParams(OneModel, frozen=True, kw_only=True):
    """``POST logged-models/{model_id}/params``."""

    params: list[KeyValue] | None = None


class OrderBy(Struct, frozen=True, kw_only=True):
    """An ``OrderBy``."""

    field_name: Required
    ascending: bool | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class OfDataset(Struct, frozen=True, kw_only=True):
    """A dataset on which the metrics of a filter were measured."""

    dataset_name: Required
    dataset_digest: str | None = None


class SearchModels(Struct, frozen=True, kw_only=True):
    """``logged-models/search``."""

    experiment_ids: list[str] | None = None
    filter: str | None = None
    datasets: list[OfDataset] | None = None
    max_results: Int64 | None = None
    order_by: list[OrderBy] | None = None
    page_token: str | None = None


def status_of(status: WireStatus) -> ModelStatus:
    """The status as the stores know it."""
    return ModelStatus(status.removeprefix("LOGGED_MODEL_"))


def model_json(model: Model) -> Json:
    """A ``LoggedModel``."""
    info = {
        "model_id": model.model_id,
        "experiment_id": model.experiment_id,
        "name": model.name,
        "creation_timestamp_ms": model.creation_timestamp,
        "last_updated_timestamp_ms": model.last_updated_timestamp,
        "artifact_uri": model.artifact_uri,
        "status": f"LOGGED_MODEL_{model.status}",
        "model_type": model.model_type,
        "source_run_id": model.source_run_id,
        "status_message": model.status_message,
        "tags": pairs(model.tags),
    }
    data = {"params": pairs(model.params), "metrics": [metric_json(metric) for metric in model.metrics]}
    return {"info": given(info), "data": given(data)}
