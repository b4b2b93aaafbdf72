"""Models of runs behind a server: MLflow's logged models."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Any
from urllib.parse import quote

from ratoon.entities import MeasuredOn, Model, ModelQuery, ModelStatus, Page, Query, ViewType
from ratoon.errors import InvalidInput, NotFound
from ratoon.remote.connection import MLFLOW
from ratoon.stores import fields
from ratoon.stores.limits import MAX_PARAM, check_key, check_name, check_text
from ratoon.stores.protocol import EVERYTHING, TagChanges, Tags
from ratoon.stores.rest.experiments import check_tags
from ratoon.stores.rest.mapping import WIRE_MODEL_STATUS, from_dict, to_model
from ratoon.stores.rest.part import every
from ratoon.stores.rest.runs import RestRuns

# MLflow's server takes so many params with a model and so many in each request after it.
MOST_PARAMS = 100


class RestModels(RestRuns):
    """See :class:`ratoon.stores.protocol.ModelStore` for each method."""

    def create_model(self, model: Model) -> Model:
        """Store a model; ratoon's server under the given id, MLflow's under one of its own: that of the answer."""
        check_name("model", model.name)
        check_tags(model.tags)
        _check_params(model.params)
        params = from_dict(model.params)
        body: dict[str, Any] = {
            "model_id": model.model_id,
            "creation_timestamp_ms": model.creation_timestamp,
            "experiment_id": model.experiment_id,
            "name": model.name,
            "model_type": model.model_type,
            "params": params[:MOST_PARAMS],
            "tags": from_dict(model.tags),
        }
        if model.source_run_id:
            body["source_run_id"] = model.source_run_id
        made = to_model(self._connection.post("/logged-models", body, repeatable=False)["model"])
        self._add_params(made.model_id, params[MOST_PARAMS:])
        if model.source_run_id and not self._connection.is_ratoon:
            outputs = {"run_id": model.source_run_id, "models": [{"model_id": made.model_id, "step": 0}]}
            self._connection.post("/runs/outputs", outputs)
        return self.get_model(made.model_id) if len(params) > MOST_PARAMS else made

    def get_model(self, model_id: str) -> Model:
        """Read a model; NotFound if there is none, or it is deleted."""
        return to_model(self._connection.get(_path(model_id))["model"])

    def finalize_model(self, model_id: str, status: ModelStatus) -> Model:
        """Say whether the model's files are complete."""
        self._check_there(model_id)
        body = {"model_id": model_id, "status": WIRE_MODEL_STATUS[status]}
        return to_model(self._connection.call("PATCH", MLFLOW + _path(model_id), body=body)["model"])

    def annotate_model(self, model_id: str, *, tags: TagChanges | None = None, params: Tags | None = None) -> Model:
        """Change tags and add params of a model."""
        check_tags(tags)
        _check_params(params or {})
        self._check_there(model_id)
        if params:
            self._add_params(model_id, from_dict(self._new_params(model_id, params)))
        path = MLFLOW + _path(model_id) + "/tags"
        values = {key: value for key, value in (tags or {}).items() if value is not None}
        if values:
            self._connection.call("PATCH", path, body={"model_id": model_id, "tags": from_dict(values)})
        for key in set(tags or {}) - set(values):
            if "/" in key and not self._connection.is_ratoon:
                raise InvalidInput(
                    f"tag {key!r} of a model cannot be taken away (MLflow's server cannot find it by a key with '/')"
                )
            self._connection.call("DELETE", f"{path}/{quote(key, safe='')}")
        return self.get_model(model_id)

    def delete_model(self, model_id: str) -> None:
        """Delete a model; NotFound if there is none."""
        self._check_there(model_id)
        self._connection.call("DELETE", MLFLOW + _path(model_id), body={"model_id": model_id})

    def search_models(self, experiment_ids: Sequence[str] = (), query: Query = EVERYTHING) -> Page[Model]:
        """Models of the experiments (of all if none is given) that fulfil a query, the newest first."""
        if query.view == ViewType.DELETED_ONLY:
            raise InvalidInput("deleted models are not shown by a server; search for active ones")
        datasets, ordered = (query.datasets, query.order_datasets) if isinstance(query, ModelQuery) else ((), ())
        if not self._connection.is_ratoon:
            _check_digests(datasets)
        if ordered:
            fields.measured_orders(fields.orderings_of(fields.MODEL, query.order_by), ordered)
        within = (*experiment_ids, *map(repr, (*datasets, *ordered)))
        asked = self._ask(fields.MODEL, query, within, most=MOST_PARAMS)
        body = asked.body | {"experiment_ids": self._experiment_ids(list(experiment_ids))}
        if query.order_by:
            terms = zip_longest(body["order_by"], ordered)
            body["order_by"] = [_order(term) | _dataset(dataset) for term, dataset in terms]
        if datasets:
            body["datasets"] = [_dataset(each) for each in datasets]
        return asked.page(self._connection.post("/logged-models/search", body), "models", to_model)

    def run_models(self, run_id: str) -> list[Model]:
        """The models that a run produced, oldest first."""
        run = self._run_or_none(run_id)
        if run is None:
            return []
        query = Query(filter=f"source_run_id = '{run_id}'", limit=MOST_PARAMS)
        found = {
            each.model_id: each for each in every(lambda page: self.search_models([run.experiment_id], page), query)
        }
        for output in run.model_outputs:  # some of them another run may have begun
            if output.model_id not in found:
                with suppress(NotFound):
                    found[output.model_id] = self.get_model(output.model_id)
        return sorted(found.values(), key=lambda model: (model.creation_timestamp, model.model_id))

    def _check_there(self, model_id: str) -> None:
        """MLflow's server changes a model that was deleted, and deletes it again."""
        if not self._connection.is_ratoon:
            self.get_model(model_id)

    def _new_params(self, model_id: str, params: Tags) -> Tags:
        """The params that a model lacks; what it has otherwise is refused in words, not by MLflow's database."""
        if self._connection.is_ratoon:
            return params
        known = self.get_model(model_id).params
        for key, value in params.items():
            if known.get(key, value) != value:
                raise InvalidInput(
                    f"param {key!r} of model '{model_id}' is {known[key]!r} and cannot become {value!r}; log it under"
                    " another key"
                )
        return {key: value for key, value in params.items() if key not in known}

    def _add_params(self, model_id: str, params: list[dict[str, str]]) -> None:
        for begin in range(0, len(params), MOST_PARAMS):
            body = {"model_id": model_id, "params": params[begin : begin + MOST_PARAMS]}
            self._connection.post(f"{_path(model_id)}/params", body)


def _path(model_id: str) -> str:
    return f"/logged-models/{quote(model_id, safe='')}"


def _order(term: str) -> dict[str, Any]:
    """A term as this one search of the API takes it."""
    name, _, direction = term.strip().rpartition(" ")
    if direction.upper() in ("ASC", "DESC") and name:
        return {"field_name": name.strip(), "ascending": direction.upper() == "ASC"}
    return {"field_name": term.strip(), "ascending": True}


def _check_digests(datasets: Sequence[MeasuredOn]) -> None:
    """MLflow's server takes a digest that is not told for an empty one, and finds nothing."""
    for each in datasets:
        if not each.digest:
            raise InvalidInput(f"dataset {each.name!r:.80} has no digest (MLflow's server asks for it); give it")


def _dataset(given: MeasuredOn | None) -> dict[str, str]:
    if given is None:
        return {}
    return {"dataset_name": given.name} | ({"dataset_digest": given.digest} if given.digest else {})


def _check_params(params: Tags) -> None:
    for key, value in params.items():
        check_key("param", key)
        check_text(f"value of param {key!r}", value, MAX_PARAM)
