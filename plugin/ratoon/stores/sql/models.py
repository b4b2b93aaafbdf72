"""Models that runs produced, on SQL."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from ratoon.clock import now_ms
from ratoon.entities import LifecycleStage, Model, ModelStatus, Page, Query
from ratoon.errors import AlreadyExists
from ratoon.stores.limits import check_int64, check_model, check_params, check_tags
from ratoon.stores.protocol import EVERYTHING, TagChanges
from ratoon.stores.sql.pairs import MODEL_PARAMS, MODEL_TAGS
from ratoon.stores.sql.part import SqlPart
from ratoon.stores.sql.prepared import Prepared, assignments, insertion
from ratoon.stores.sql.reading import (
    OUTPUT,
    active_experiment,
    experiment_number,
    read_model,
    read_models,
    require_model,
)
from ratoon.stores.sql.writing import link_models


class SqlModels(SqlPart):
    """Models that runs produced. See :class:`ratoon.stores.protocol.ModelStore` for each method."""

    def create_model(self, model: Model) -> Model:
        """Store a model, and that its source run produced it."""
        check_model(model)
        check_int64("creation time", model.creation_timestamp)
        check_int64("time of the last update", model.last_updated_timestamp)
        row = {name: getattr(model, name) for name in _COLUMNS}
        owner = {"model_id": model.model_id}
        with self._database.writing() as connection:
            row["experiment_id"] = active_experiment(connection, model.experiment_id).experiment_id
            if _CREATE.first(connection, row) is None:
                raise AlreadyExists(f"model '{model.model_id}' exists already; choose another id")
            MODEL_PARAMS.put(connection, owner, model.params)
            MODEL_TAGS.put(connection, owner, model.tags)
            # Another store may keep the run.
            source = _RUN.first(connection, {"run_id": model.source_run_id})
            if source is not None:
                link_models(connection, source.run_pk, OUTPUT, {model.model_id: 0})
            return read_model(connection, model.model_id)

    def get_model(self, model_id: str) -> Model:
        """Read a model; NotFound if there is none, or it is deleted."""
        with self._database.reading() as connection:
            return read_model(connection, model_id)

    def finalize_model(self, model_id: str, status: ModelStatus) -> Model:
        """Say whether the model's files are complete."""
        return self._change(model_id, {"status": status})

    def annotate_model(
        self, model_id: str, *, tags: TagChanges | None = None, params: Mapping[str, str] | None = None
    ) -> Model:
        """Change tags and add params of a model."""
        check_tags(tags or {})
        check_params(params or {})
        return self._change(model_id, {}, tags=tags, params=params)

    def delete_model(self, model_id: str) -> None:
        """Delete a model; NotFound if there is none."""
        with self._database.writing() as connection:
            require_model(connection, model_id, lock=True)
            deleted: dict[str, object] = {"lifecycle_stage": LifecycleStage.DELETED, "last_updated_timestamp": now_ms()}
            _changing(tuple(deleted)).run(connection, {"model_id": model_id, **deleted})

    def search_models(self, experiment_ids: Sequence[str] = (), query: Query = EVERYTHING) -> Page[Model]:
        """Models of the experiments (of all if none is given) that fulfil a query, the newest first."""
        from ratoon.stores.sql.model_search import search_models

        numbers = sorted({experiment_number(each) for each in experiment_ids})
        with self._database.reading() as connection:
            rows, token = search_models(connection.core, numbers, query)
            return Page(tuple(read_models(connection, rows)), token)

    def run_models(self, run_id: str) -> list[Model]:
        """The models that a run produced, oldest first."""
        with self._database.reading() as connection:
            return read_models(connection, _OF_RUN.rows(connection, {"run_id": run_id, "role": OUTPUT}))

    def _change(
        self,
        model_id: str,
        changes: dict[str, object],
        *,
        tags: TagChanges | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Model:
        owner = {"model_id": model_id}
        with self._database.writing() as connection:
            updated = max(now_ms(), require_model(connection, model_id, lock=True).last_updated_timestamp)
            changes["last_updated_timestamp"] = updated
            _changing(tuple(changes)).run(connection, {"model_id": model_id, **changes})
            MODEL_TAGS.change(connection, owner, tags or {})
            MODEL_PARAMS.add(connection, owner, params or {}, f"model '{model_id}'")
            return read_model(connection, model_id)


# What of a model is in its own row.
_COLUMNS = (
    "model_id",
    "experiment_id",
    "name",
    "source_run_id",
    "artifact_uri",
    "status",
    "status_message",
    "lifecycle_stage",
    "creation_timestamp",
    "last_updated_timestamp",
    "model_type",
)
_CREATE = Prepared(f"{insertion('models', _COLUMNS)} ON CONFLICT DO NOTHING RETURNING model_id")
_RUN = Prepared("SELECT run_pk FROM runs WHERE run_id = :run_id")
_OF_RUN = Prepared(
    "SELECT * FROM models WHERE (source_run_id = :run_id OR model_id IN ("
    "SELECT run_models.model_id FROM run_models JOIN runs ON runs.run_pk = run_models.run_pk"
    " WHERE runs.run_id = :run_id AND run_models.role = :role))"
    f" AND lifecycle_stage = '{LifecycleStage.ACTIVE}' ORDER BY creation_timestamp, model_id"
)


@functools.cache
def _changing(columns: tuple[str, ...]) -> Prepared:
    return Prepared(f"UPDATE models SET {assignments(columns)} WHERE model_id = :model_id")
