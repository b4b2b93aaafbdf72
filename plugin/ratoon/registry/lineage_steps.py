"""One step of lineage: from all nodes of a kind to what they were made of, or to what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ratoon.entities import Deployment, ModelVersion, Run
from ratoon.registry.contender import EVALUATION_RUN
from ratoon.registry.lineage_lookup import Lookup
from ratoon.registry.lineage_nodes import (
    Alias,
    Edge,
    Found,
    Kind,
    alias_node,
    dataset_node,
    deployment_node,
    model_node,
    run_node,
    version_node,
)
from ratoon.registry.lineage_service import is_served, served_by
from ratoon.tracking.client import Client

Step = tuple[Edge, Found]
_Follow = Callable[[Sequence[Found]], Iterable[Step]]

CONTEXT = "mlflow.data.context"
# What a run says of a dataset that it wrote.
WRITTEN = "output"


class Steps:
    """Steps through what a client's stores know, and the deployments that are given."""

    def __init__(self, client: Client, deployments: Sequence[Deployment], limit: int) -> None:
        self._client = client
        self._deployments = deployments
        self._lookup = Lookup(client, limit)
        self._up: dict[Kind, _Follow] = {
            Kind.DATASET: self._writers,
            Kind.RUN: self._ingredients,
            Kind.MODEL: self._makers,
            Kind.VERSION: self._sources,
            Kind.ALIAS: self._holders,
            Kind.DEPLOYMENT: self._served,
        }
        self._down: dict[Kind, _Follow] = {
            Kind.DATASET: self._readers,
            Kind.RUN: self._products,
            Kind.MODEL: self._registered,
            Kind.VERSION: self._uses,
            Kind.ALIAS: self._in_service,
            Kind.DEPLOYMENT: lambda _: (),
        }

    @property
    def truncated(self) -> bool:
        """Whether a question had more answers than were read."""
        return self._lookup.truncated

    def up(self, kind: Kind, here: Sequence[Found]) -> Iterable[Step]:
        """What nodes of a kind were made of."""
        return self._up[kind](here)

    def down(self, kind: Kind, here: Sequence[Found]) -> Iterable[Step]:
        """What became of nodes of a kind."""
        return self._down[kind](here)

    def _writers(self, datasets: Sequence[Found]) -> Iterator[Step]:
        return self._runs_of(datasets, written=True)

    def _readers(self, datasets: Sequence[Found]) -> Iterator[Step]:
        return self._runs_of(datasets, written=False)

    def _runs_of(self, datasets: Sequence[Found], *, written: bool) -> Iterator[Step]:
        known = {found.node.id: found for found in datasets}
        for run in self._lookup.runs_with_data(found.thing.digest for found in datasets):
            here = run_node(run)
            for each in _data_of(run, written=written):
                if each.node.id in known:
                    yield (_edge(here, each, "wrote") if written else _edge(each, here, "read by")), here

    def _ingredients(self, runs: Sequence[Found]) -> Iterator[Step]:
        by_id = {found.thing.run_id: found for found in runs}
        for here in runs:
            for each in _data_of(here.thing, written=False):
                yield _edge(each, here, "read by"), each
        used = {found.thing.run_id: found.thing.model_inputs for found in runs}
        models = self._models(model_id for ids in used.values() for model_id in ids)
        for run_id, model_ids in used.items():
            for model in (models[each] for each in model_ids if each in models):
                yield _edge(model, by_id[run_id], "used by"), model
        for version in self._lookup.versions_evaluated_in(by_id):
            each = version_node(version)
            yield _edge(each, by_id[version.tags[EVALUATION_RUN]], "evaluated in"), each

    def _products(self, runs: Sequence[Found]) -> Iterator[Step]:
        by_id = {found.thing.run_id: found for found in runs}
        for here in runs:
            for each in _data_of(here.thing, written=True):
                yield _edge(here, each, "wrote"), each
        known = set()
        for here, model in self._made(by_id):
            known.add(model.thing.model_id)
            yield _edge(here, model, "made"), model
        for version in self._lookup.versions_of_runs(by_id):
            if version.model_id not in known:  # deleted, or kept elsewhere
                each = version_node(version)
                yield _edge(by_id[version.run_id or ""], each, "registered as"), each

    def _made(self, by_id: Mapping[str, Found]) -> Iterator[tuple[Found, Found]]:
        """Models that runs began, and those that another run began and they went on with."""
        begun = [model_node(model) for model in self._lookup.models_of_runs(by_id)]
        for model in begun:
            yield by_id[model.thing.source_run_id], model
        known = {model.thing.model_id for model in begun}
        linked = [(here, each.model_id) for here in by_id.values() for each in here.thing.model_outputs]
        others = self._models(model_id for _, model_id in linked if model_id not in known)
        yield from ((here, others[model_id]) for here, model_id in linked if model_id in others)

    def _makers(self, models: Sequence[Found]) -> Iterator[Step]:
        runs = self._runs(each.thing.source_run_id for each in models)
        for here in models:
            run = runs.get(here.thing.source_run_id)
            if run is not None:
                yield _edge(run, here, "made"), run

    def _registered(self, models: Sequence[Found]) -> Iterator[Step]:
        by_id = {found.thing.model_id: found for found in models}
        for version in self._lookup.versions_of_models(here.thing for here in models):
            each = version_node(version)
            yield _edge(by_id[version.model_id or ""], each, "registered as"), each
        yield from self._in_service(models)

    def _sources(self, versions: Sequence[Found]) -> Iterator[Step]:
        models = self._models(each.thing.model_id for each in versions)
        orphans = [each for each in versions if each.thing.model_id not in models]
        runs = self._runs(each.thing.run_id for each in orphans)
        for here in versions:
            source = models.get(here.thing.model_id) or runs.get(here.thing.run_id)
            if source is not None:
                yield _edge(source, here, "registered as"), source

    def _uses(self, versions: Sequence[Found]) -> Iterator[Step]:
        for here in versions:
            for alias in _aliases(here.thing):
                each = alias_node(alias)
                yield _edge(here, each, "holds"), each
        runs = self._runs(here.thing.tags.get(EVALUATION_RUN) for here in versions)
        for here in versions:
            run = runs.get(here.thing.tags.get(EVALUATION_RUN))
            if run is not None:
                yield _edge(here, run, "evaluated in"), run
        yield from self._in_service(versions)

    def _holders(self, aliases: Sequence[Found]) -> Iterator[Step]:
        for here in aliases:
            each = version_node(self._client.registry.get_version(here.thing.name, here.thing.version))
            yield _edge(each, here, "holds"), each

    def _in_service(self, served: Sequence[Found]) -> Iterator[Step]:
        """The deployments of nodes, by what their records say: no store is asked."""
        for deployment in self._deployments:
            each = deployment_node(deployment)
            for here in served:
                if is_served(here, deployment):
                    yield _edge(here, each, "in service as"), each

    def _served(self, deployments: Sequence[Found]) -> Iterator[Step]:
        for here in deployments:
            for each in served_by(self._client, here.thing):
                yield _edge(each, here, "in service as"), each

    def _runs(self, run_ids: Iterable[str | None]) -> dict[str | None, Found]:
        return {run.run_id: run_node(run) for run in self._lookup.runs(filter(None, run_ids))}

    def _models(self, model_ids: Iterable[str | None]) -> dict[str | None, Found]:
        return {model.model_id: model_node(model) for model in self._lookup.models(filter(None, model_ids))}


def _edge(source: Found, target: Found, relation: str) -> Edge:
    return Edge(source=source.node.id, target=target.node.id, relation=relation)


def _data_of(run: Run, *, written: bool) -> list[Found]:
    """The datasets that a run wrote, or those that it read."""
    return [dataset_node(each.dataset) for each in run.inputs if (each.tags.get(CONTEXT) == WRITTEN) == written]


def _aliases(version: ModelVersion) -> list[Alias]:
    return [Alias(version.name, alias, version.version) for alias in version.aliases]
