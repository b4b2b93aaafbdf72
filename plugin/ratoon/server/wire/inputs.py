"""Messages about what runs used and produced."""

from __future__ import annotations

from msgspec import Struct

from ratoon.entities import Dataset, DatasetInput
from ratoon.server.wire.fields import Int64, KeyValue, Required, mapping
from ratoon.server.wire.runs import OneRun


class WireDataset(Struct, frozen=True, kw_only=True):
    """A ``Dataset``."""

    name: Required
    digest: Required
    source_type: Required
    source: Required
    schema: str | None = None
    profile: str | None = None


class WireDatasetInput(Struct, frozen=True, kw_only=True):
    """A ``DatasetInput``."""

    dataset: WireDataset
    tags: list[KeyValue] | None = None


class ModelInput(Struct, frozen=True):
    """A ``ModelInput``."""

    model_id: Required


class WireModelOutput(Struct, frozen=True):
    """A ``ModelOutput``."""

    model_id: Required
    step: Int64 = 0


class LogInputs(OneRun, frozen=True, kw_only=True):
    """``runs/log-inputs``."""

    datasets: list[WireDatasetInput] | None = None
    models: list[ModelInput] | None = None


class LogOutputs(OneRun, frozen=True, kw_only=True):
    """``runs/outputs``."""

    models: list[WireModelOutput]


def input_of(given: WireDatasetInput) -> DatasetInput:
    """The input as the stores know it."""
    dataset = given.dataset
    return DatasetInput(
        dataset=Dataset(
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        ),
        tags=mapping(given.tags),
    )
