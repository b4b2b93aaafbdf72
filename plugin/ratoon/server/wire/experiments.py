"""Messages about experiments."""

from __future__ import annotations

from msgspec import Struct

from ratoon.entities import Experiment, ViewType
from ratoon.server.wire.fields import Json, KeyValue, Required, Search, given, pairs


class CreateExperiment(Struct, frozen=True):
    """``experiments/create``."""

    name: Required
    artifact_location: str | None = None
    tags: list[KeyValue] | None = None


class SearchExperiments(Search, frozen=True):
    """``experiments/search``."""

    view_type: ViewType | None = None


class OneExperiment(Struct, frozen=True):
    """``experiments/get``, ``delete`` and ``restore``."""

    experiment_id: Required


class ExperimentByName(Struct, frozen=True):
    """``experiments/get-by-name``."""

    experiment_name: Required


class UpdateExperiment(Struct, frozen=True):
    """``experiments/update``."""

    experiment_id: Required
    new_name: Required


class SetExperimentTag(Struct, frozen=True):
    """``experiments/set-experiment-tag``."""

    experiment_id: Required
    key: Required
    value: str = ""


class DeleteExperimentTag(Struct, frozen=True):
    """``experiments/delete-experiment-tag``."""

    experiment_id: Required
    key: Required


def experiment_json(experiment: Experiment) -> Json:
    """An ``Experiment``."""
    return given(
        {
            "experiment_id": experiment.experiment_id,
            "name": experiment.name,
            "artifact_location": experiment.artifact_location,
            "lifecycle_stage": experiment.lifecycle_stage,
            "last_update_time": experiment.last_update_time,
            "creation_time": experiment.creation_time,
            "tags": pairs(experiment.tags),
        }
    )
