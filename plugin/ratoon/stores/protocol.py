"""The protocols behind every store: what runs record, in four parts, and what is registered.

An implementation is thread-safe, answers with values of :mod:`ratoon.entities` and raises errors of
:mod:`ratoon.errors`. A call that returned is durable. A store does not travel to another process: its URI does.

Where a method takes ``tags`` to change, a value of None takes the tag away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ratoon.entities import (
    AliasMove,
    DatasetInput,
    Experiment,
    LifecycleStage,
    Model,
    ModelOutput,
    ModelStatus,
    ModelVersion,
    Page,
    Query,
    RegisteredModel,
    Run,
    RunBatch,
    RunStatus,
)
from ratoon.stores.series import MetricSeries

Tags = Mapping[str, str]
TagChanges = Mapping[str, str | None]

EVERYTHING = Query()


class ExperimentStore(Protocol):
    """Experiments."""

    def create_experiment(
        self, name: str, tags: Tags | None = None, *, artifact_location: str | None = None
    ) -> Experiment:
        """Create an experiment; AlreadyExists if the name is taken, by a deleted one too.

        Files go to ``mlflow-artifacts:/<experiment_id>`` unless a location is given.
        """

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Read an experiment, a deleted one too; NotFound if there is none."""

    def find_experiment(self, name: str) -> Experiment | None:
        """Read an experiment by its name, a deleted one too; None if there is none."""

    def search_experiments(self, query: Query = EVERYTHING) -> Page[Experiment]:
        """Experiments that fulfil a query, the newest first unless it says otherwise."""

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Give an experiment another name; AlreadyExists if it is taken."""

    def move_experiment(self, experiment_id: str, stage: LifecycleStage) -> None:
        """Delete an experiment with its runs, or restore it with the runs that were deleted with it."""

    def tag_experiment(self, experiment_id: str, tags: TagChanges) -> None:
        """Change tags of an experiment."""


class RunStore(Protocol):
    """Runs, and what they log."""

    def create_run(self, run: Run) -> Run:
        """Store a new run with its params and tags; one that exists already under the same id is returned as it is."""

    def get_run(self, run_id: str) -> Run:
        """Read a run with everything that was recorded, a deleted one too; NotFound if there is none."""

    def update_run(
        self, run_id: str, *, status: RunStatus | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> Run:
        """Change what is given; an end time of None with a status of RUNNING takes the end away again."""

    def search_runs(self, experiment_ids: Sequence[str] = (), query: Query = EVERYTHING) -> Page[Run]:
        """Runs of the experiments (of all if none is given) that fulfil a query, the last started first."""

    def move_run(self, run_id: str, stage: LifecycleStage) -> None:
        """Delete a run, or restore it."""

    def log_batch(self, batch: RunBatch) -> None:
        """Write a batch in one transaction: all of it or none.

        A point that is there already, equal in key, step, timestamp and value, is not read back twice. A param is
        written once: the same value again is no error, another one is InvalidInput.
        """

    def delete_run_tag(self, run_id: str, key: str) -> None:
        """Take a tag away; NotFound if it is not there."""

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput], model_ids: Sequence[str] = ()) -> None:
        """Record datasets and models that the run used; one that is recorded already is left as it is."""

    def log_outputs(self, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Record models that the run produced."""


class MetricStore(Protocol):
    """The history of metrics."""

    def metric_history(self, run_id: str, key: str) -> MetricSeries:
        """Every point of a metric, in the order of step and timestamp; no points for a key that was not logged."""

    def metric_sample(self, run_id: str, key: str, points: int) -> MetricSeries:
        """About so many points that show the shape of a metric, each extreme among them, the first and the last too."""


class ModelStore(Protocol):
    """Models that runs produced."""

    def create_model(self, model: Model) -> Model:
        """Store a model, and that its source run produced it."""

    def get_model(self, model_id: str) -> Model:
        """Read a model; NotFound if there is none, or it is deleted."""

    def finalize_model(self, model_id: str, status: ModelStatus) -> Model:
        """Say whether the model's files are complete."""

    def annotate_model(self, model_id: str, *, tags: TagChanges | None = None, params: Tags | None = None) -> Model:
        """Change tags and add params of a model."""

    def delete_model(self, model_id: str) -> None:
        """Delete a model; NotFound if there is none."""

    def search_models(self, experiment_ids: Sequence[str] = (), query: Query = EVERYTHING) -> Page[Model]:
        """Models of the experiments (of all if none is given) that fulfil a query, the newest first.

        A :class:`ratoon.entities.ModelQuery` may name the datasets on which they were measured.
        """

    def run_models(self, run_id: str) -> list[Model]:
        """The models that a run produced, oldest first."""


class TrackingStore(ExperimentStore, RunStore, MetricStore, ModelStore, Protocol):
    """What runs record: experiments, runs, params, metrics, tags, datasets and models."""


class Registry(Protocol):
    """What is registered: names, immutable versions, aliases and the history of who held them."""

    def create_registered_model(self, name: str, description: str = "", tags: Tags | None = None) -> RegisteredModel:
        """Create a name; AlreadyExists if it is taken."""

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Read a name with its aliases; NotFound if there is none."""

    def update_registered_model(
        self, name: str, *, new_name: str | None = None, description: str | None = None, tags: TagChanges | None = None
    ) -> RegisteredModel:
        """Change what is given; AlreadyExists if the new name is taken."""

    def delete_registered_model(self, name: str) -> None:
        """Delete a name with its versions, aliases and history; NotFound if there is none."""

    def search_registered_models(self, query: Query = EVERYTHING) -> Page[RegisteredModel]:
        """Names that fulfil a query, in alphabetical order unless it says otherwise."""

    def create_version(self, version: ModelVersion) -> ModelVersion:
        """Store a version under the next free number; its ``version`` and times are ignored.

        Concurrent calls get distinct, consecutive numbers; a number is never used twice. NotFound if the name is not
        registered.
        """

    def get_version(self, name: str, version: int) -> ModelVersion:
        """Read a version; NotFound if there is none."""

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Read the version that holds an alias; NotFound if nobody does, naming those who hold others."""

    def search_versions(self, query: Query = EVERYTHING) -> Page[ModelVersion]:
        """Versions that fulfil a query, the newest first unless it says otherwise."""

    def update_version(
        self,
        name: str,
        version: int,
        *,
        description: str | None = None,
        stage: str | None = None,
        tags: TagChanges | None = None,
    ) -> ModelVersion:
        """Change what is said about a version; what it consists of never changes."""

    def delete_version(self, name: str, version: int) -> None:
        """Delete a version and its aliases; NotFound if there is none."""

    def move_alias(self, move: AliasMove) -> None:
        """Move an alias by compare-and-set and keep the move in its history, in one transaction.

        Conflict if the alias is not held by ``move.from_version`` any more, naming the holder. A ``to_version`` of
        None takes the alias away. A refused move goes into the history and moves nothing.
        """

    def alias_history(self, name: str, alias: str | None = None) -> list[AliasMove]:
        """Every move of an alias, or of all that a name ever had, oldest first; NotFound if the name is unknown."""
