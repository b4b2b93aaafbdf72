"""Logged models: what runs produced, and where its files are."""

from __future__ import annotations

from ratoon.clock import now_ms
from ratoon.entities import MeasuredOn, Model, ModelQuery, ModelStatus
from ratoon.errors import InvalidInput, NotFound
from ratoon.server.endpoint import Answer, Call, Permission
from ratoon.server.wire.fields import mapping, new_id, one_of_each, page
from ratoon.server.wire.models import (
    CreateModel,
    DeleteModelTag,
    FinalizeModel,
    LogModelParams,
    OneModel,
    OrderBy,
    SearchModels,
    SetModelTags,
    model_json,
    status_of,
)
from ratoon.tracking.client import Client
from ratoon.tracking.context import random_name


def create(client: Client, request: CreateModel) -> Answer:
    """Announce a model; its files are uploaded next."""
    home = client.tracking.get_experiment(request.experiment_id)
    model_id = request.model_id or f"m-{new_id()}"
    now = now_ms() if request.creation_timestamp_ms is None else request.creation_timestamp_ms
    model = Model(
        model_id=model_id,
        experiment_id=home.experiment_id,
        name=request.name or random_name(),
        source_run_id=request.source_run_id or None,
        artifact_uri=f"{home.artifact_location}/models/{model_id}/artifacts",
        status=ModelStatus.PENDING,
        creation_timestamp=now,
        last_updated_timestamp=now,
        model_type=request.model_type or "",
        params=one_of_each("param", request.params),
        tags=mapping(request.tags),
    )
    return {"model": model_json(client.tracking.create_model(model))}


def get(client: Client, request: OneModel) -> Answer:
    """Read a model."""
    return {"model": model_json(client.tracking.get_model(request.model_id))}


def finalize(client: Client, request: FinalizeModel) -> Answer:
    """Say that the files are complete, or that they never will be."""
    return {"model": model_json(client.tracking.finalize_model(request.model_id, status_of(request.status)))}


def delete(client: Client, request: OneModel) -> Answer:
    """Delete a model."""
    client.tracking.delete_model(request.model_id)
    return {}


def search(client: Client, request: SearchModels) -> Answer:
    """Find models."""
    orders = request.order_by or ()
    query = ModelQuery(
        filter=request.filter or "",
        order_by=tuple(map(_term, orders)),
        order_datasets=tuple(map(_dataset, orders)),
        datasets=tuple(MeasuredOn(each.dataset_name, each.dataset_digest or None) for each in request.datasets or ()),
        limit=100 if request.max_results is None else request.max_results,
        page_token=request.page_token or None,
    )
    homes = request.experiment_ids  # none of them is MLflow's meaning of "no experiments", to our stores it is "all"
    return page("models", client.tracking.search_models(homes, query), model_json) if homes else {}


def set_tags(client: Client, request: SetModelTags) -> Answer:
    """Set tags."""
    return {"model": model_json(client.tracking.annotate_model(request.model_id, tags=mapping(request.tags)))}


def delete_tag(client: Client, request: DeleteModelTag) -> Answer:
    """Take a tag away."""
    if request.tag_key not in client.tracking.get_model(request.model_id).tags:
        raise NotFound(f"model '{request.model_id}' has no tag {request.tag_key[:200]!r}; read its tags first")
    client.tracking.annotate_model(request.model_id, tags={request.tag_key: None})
    return {}


def log_params(client: Client, request: LogModelParams) -> Answer:
    """Add params."""
    client.tracking.annotate_model(request.model_id, params=one_of_each("param", request.params))
    return {}


def _term(order: OrderBy) -> str:
    return f"{order.field_name} {'ASC' if order.ascending is not False else 'DESC'}"


def _dataset(order: OrderBy) -> MeasuredOn | None:
    if order.dataset_digest and not order.dataset_name:
        raise InvalidInput(f"order by {order.field_name!r:.80} has the digest of a dataset only; give its name, too")
    return MeasuredOn(order.dataset_name, order.dataset_digest or None) if order.dataset_name else None


ROUTES = (
    Call("POST", "/logged-models", create, Permission.LOG, request=CreateModel),
    Call("POST", "/logged-models/search", search, Permission.READ, request=SearchModels),
    Call("GET", "/logged-models/{model_id}", get, Permission.READ, request=OneModel),
    Call("PATCH", "/logged-models/{model_id}", finalize, Permission.LOG, request=FinalizeModel),
    Call("DELETE", "/logged-models/{model_id}", delete, Permission.LOG, request=OneModel),
    Call("PATCH", "/logged-models/{model_id}/tags", set_tags, Permission.LOG, request=SetModelTags),
    Call("DELETE", "/logged-models/{model_id}/tags/{tag_key:path}", delete_tag, Permission.LOG, request=DeleteModelTag),
    Call("POST", "/logged-models/{model_id}/params", log_params, Permission.LOG, request=LogModelParams),
)
