"""Models that runs produced, on SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, and_, exists, or_, select, true, update

from ratoon.clock import now_ms
from ratoon.entities import LifecycleStage, MeasuredOn, Model, ModelQuery, ModelStatus, Page, Query
from ratoon.errors import AlreadyExists
from ratoon.stores import fields
from ratoon.stores.limits import check_int64, check_model, check_params, check_tags
from ratoon.stores.protocol import EVERYTHING, TagChanges
from ratoon.stores.sql import tables
from ratoon.stores.sql.conditions import Condition, Subject, condition, on_one_of
from ratoon.stores.sql.database import insert_into
from ratoon.stores.sql.experiments import in_view
from ratoon.stores.sql.part import SqlPart
from ratoon.stores.sql.reading import (
    OUTPUT,
    active_experiment,
    experiment_number,
    read_model,
    read_models,
    require_model,
)
from ratoon.stores.sql.searching import Asked, ask, search
from ratoon.stores.sql.writing import change_pairs, link_models, overwrite_pairs, write_once

_TABLE = tables.models
_SUBJECT = Subject(
    kind="models",
    table=_TABLE,
    fields=fields.MODEL,
    columns={},
    pairs={"metric": tables.model_metrics, "param": tables.model_params, "tag": tables.model_tags},
    owner=("model_id",),
    ties=((_TABLE.c.creation_timestamp, False), (_TABLE.c.model_id, False)),
)
_COLUMNS = [name for name in _TABLE.c.keys() if name in Model.__struct_fields__]


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
            created = insert_into(connection, _TABLE).values(row).on_conflict_do_nothing()
            if not connection.execute(created.returning(_TABLE.c.model_id)).first():
                raise AlreadyExists(f"model '{model.model_id}' exists already; choose another id")
            overwrite_pairs(connection, tables.model_params, owner, model.params)
            overwrite_pairs(connection, tables.model_tags, owner, model.tags)
            # Another store may keep the run.
            runs = tables.runs.c
            source = connection.execute(select(runs.run_pk).where(runs.run_id == model.source_run_id)).scalar()
            if source is not None:
                link_models(connection, source, OUTPUT, {model.model_id: 0})
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
            deleted = {"lifecycle_stage": LifecycleStage.DELETED, "last_updated_timestamp": now_ms()}
            connection.execute(update(_TABLE).where(_TABLE.c.model_id == model_id).values(deleted))

    def search_models(self, experiment_ids: Sequence[str] = (), query: Query = EVERYTHING) -> Page[Model]:
        """Models of the experiments (of all if none is given) that fulfil a query, the newest first."""
        numbers = sorted({experiment_number(each) for each in experiment_ids})
        datasets, ordered = (query.datasets, query.order_datasets) if isinstance(query, ModelQuery) else ((), ())
        asked = ask(_SUBJECT, query, (*numbers, *datasets, *ordered))
        asked = asked._replace(orderings=fields.measured_orders(asked.orderings, ordered))
        inside = _TABLE.c.experiment_id.in_(numbers) if numbers else true()
        view = in_view(_TABLE, query.view)
        within = [inside] if view is None else [inside, view]
        with self._database.reading() as connection:
            if datasets:
                asked, measured = _on_datasets(connection, asked, datasets)
                within += measured
            rows, token = search(connection, _SUBJECT, asked, and_(*within))
            return Page(tuple(read_models(connection, rows)), token)

    def run_models(self, run_id: str) -> list[Model]:
        """The models that a run produced, oldest first."""
        links, columns = tables.run_models, _TABLE.c
        produced = (
            select(links.c.model_id)
            .join(tables.runs, tables.runs.c.run_pk == links.c.run_pk)
            .where(tables.runs.c.run_id == run_id, links.c.role == OUTPUT)
        )
        query = (
            select(_TABLE)
            .where(or_(columns.source_run_id == run_id, columns.model_id.in_(produced)))
            .where(columns.lifecycle_stage == LifecycleStage.ACTIVE)
            .order_by(columns.creation_timestamp, columns.model_id)
        )
        with self._database.reading() as connection:
            return read_models(connection, connection.execute(query).all())

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
            connection.execute(update(_TABLE).where(_TABLE.c.model_id == model_id).values(changes))
            change_pairs(connection, tables.model_tags, owner, tags or {})
            write_once(connection, tables.model_params, owner, params or {}, f"model '{model_id}'")
            return read_model(connection, model_id)


def _on_datasets(connection: Connection, asked: Asked, datasets: Sequence[MeasuredOn]) -> tuple[Asked, list[Condition]]:
    """The query without its comparisons of metrics, and these, as conditions on what was measured on the datasets."""
    table = tables.model_metrics
    measured = select(table).where(on_one_of(table, datasets)).subquery()
    subject = _SUBJECT._replace(pairs={**_SUBJECT.pairs, "metric": measured})
    metrics = [each for each in asked.comparisons if each.entity == "metric"]
    others = tuple(each for each in asked.comparisons if each.entity != "metric")
    conditions = [condition(connection, subject, each) for each in metrics]
    return asked._replace(comparisons=others), conditions or [exists().where(subject.owns(measured))]
