"""The two protocols behind every store: one for what runs record, one for what is registered.

An implementation is thread-safe, answers with values of :mod:`ratoon.entities` and raises errors of
:mod:`ratoon.errors`. A call that returned is durable. A store does not travel to another process: its URI does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ratoon.entities import (
    AliasMove,
    DatasetInput,
    Experiment,
    Metric,
    Model,
    ModelStatus,
    ModelVersion,
    Page,
    RegisteredModel,
    Run,
    RunBatch,
    RunStatus,
)


class TrackingStore(Protocol):
    """What runs record: experiments, runs, params, metrics, tags, datasets and models."""

    def create_experiment(self, name: str, tags: Mapping[str, str] | None = None) -> Experiment:
        """Create an experiment; AlreadyExists if the name is taken."""

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Read an experiment; NotFound if there is none."""

    def find_experiment(self, name: str) -> Experiment | None:
        """Read an experiment by its name; None if there is none."""

    def list_experiments(self, *, limit: int = 1000, page_token: str | None = None) -> Page[Experiment]:
        """Active experiments, newest first."""

    def create_run(self, run: Run) -> Run:
        """Store a new run with its params and tags; one that exists already under the same id is returned as it is."""

    def get_run(self, run_id: str) -> Run:
        """Read a run with everything that was recorded; NotFound if there is none."""

    def update_run(
        self,
        run_id: str,
        *,
        status: RunStatus | None = None,
        end_time: int | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Change what is given; an end time of None with a status of RUNNING takes the end away again."""

    def list_runs(
        self, experiment_ids: Sequence[str] = (), *, limit: int = 100, page_token: str | None = None
    ) -> Page[Run]:
        """Active runs of the experiments (of all if none is given), the last started first."""

    def log_batch(self, batch: RunBatch) -> None:
        """Write a batch in one transaction: all of it or none.

        A point that is there already, equal in key, step, timestamp and value, is not stored twice. A param is
        written once: the same value again is no error, another one is InvalidInput.
        """

    def log_inputs(self, run_id: str, inputs: Sequence[DatasetInput]) -> None:
        """Record datasets that the run read or wrote; one that is recorded already is left as it is."""

    def metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Every point of a metric, in the order of step and timestamp."""

    def create_model(self, model: Model) -> Model:
        """Store a model, and that its source run produced it."""

    def get_model(self, model_id: str) -> Model:
        """Read a model; NotFound if there is none."""

    def finalize_model(self, model_id: str, status: ModelStatus) -> Model:
        """Say whether the model's files are complete."""

    def run_models(self, run_id: str) -> list[Model]:
        """The models that a run produced, oldest first."""


class Registry(Protocol):
    """What is registered: names, immutable versions, aliases and the history of who held them."""

    def create_registered_model(
        self, name: str, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Create a name; AlreadyExists if it is taken."""

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Read a name with its aliases; NotFound if there is none."""

    def list_registered_models(self, *, limit: int = 100, page_token: str | None = None) -> Page[RegisteredModel]:
        """All names, in alphabetical order."""

    def create_version(self, version: ModelVersion) -> ModelVersion:
        """Store a version under the next free number; its ``version`` and times are ignored.

        Concurrent calls get distinct, consecutive numbers. NotFound if the name is not registered.
        """

    def get_version(self, name: str, version: int) -> ModelVersion:
        """Read a version; NotFound if there is none."""

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Read the version that holds an alias; NotFound if nobody does, naming those who hold others."""

    def list_versions(self, name: str, *, limit: int = 100, page_token: str | None = None) -> Page[ModelVersion]:
        """The versions of a name, newest first."""

    def set_version_tags(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """Add or overwrite tags of a version: the only part of it that may change."""

    def move_alias(self, move: AliasMove) -> None:
        """Move an alias by compare-and-set and keep the move in its history, in one transaction.

        Conflict if the alias is not held by ``move.from_version`` any more, naming the holder. A ``to_version`` of
        None takes the alias away. A refused move goes into the history and moves nothing.
        """

    def alias_history(self, name: str, alias: str) -> list[AliasMove]:
        """Every move of an alias, oldest first."""
