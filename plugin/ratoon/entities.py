"""The values that travel between the rooms: frozen, without behaviour, without a store.

Times are milliseconds since the epoch, UTC. Names of fields follow MLflow's REST API 2.0 wherever it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct, field

T = TypeVar("T")


class RunStatus(StrEnum):
    """How far a run has come."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class LifecycleStage(StrEnum):
    """Whether an experiment or a run is in use or in the bin."""

    ACTIVE = "active"
    DELETED = "deleted"


class ViewType(StrEnum):
    """Which stages of life a search looks at."""

    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"


class ModelStatus(StrEnum):
    """Whether the files of a model are complete."""

    PENDING = "PENDING"
    READY = "READY"
    FAILED = "UPLOAD_FAILED"


class Experiment(Struct, frozen=True, kw_only=True):
    """A named group of runs that are worth comparing."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    creation_time: int
    last_update_time: int
    tags: Mapping[str, str] = field(default_factory=dict)


class Metric(Struct, frozen=True):
    """One point of a metric: NaN and the infinities are values like any other.

    ``model_id`` and the dataset say what was measured, on what, where that is known.
    """

    key: str
    value: float
    timestamp: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


class Dataset(Struct, frozen=True, kw_only=True):
    """Data that a run read or wrote, told apart by name and digest.

    ``schema`` and ``profile`` are JSON documents, or None where nothing is known.
    """

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInput(Struct, frozen=True, kw_only=True):
    """A dataset in its role for one run; ``mlflow.data.context`` is the tag that tells the role."""

    dataset: Dataset
    tags: Mapping[str, str] = field(default_factory=dict)


class ModelOutput(Struct, frozen=True, kw_only=True):
    """A model that a run produced, and at which step of the training."""

    model_id: str
    step: int = 0


class Run(Struct, frozen=True, kw_only=True):
    """One execution and everything that was recorded about it.

    ``metrics`` holds the last point of each key: the one with the highest step, then timestamp.
    """

    run_id: str
    run_name: str
    experiment_id: str
    user_id: str
    status: RunStatus
    start_time: int
    end_time: int | None = None
    artifact_uri: str
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[DatasetInput, ...] = ()
    model_inputs: tuple[str, ...] = ()
    model_outputs: tuple[ModelOutput, ...] = ()


class RunBatch(Struct, frozen=True, kw_only=True):
    """What is written to one run in one transaction: all of it or none."""

    run_id: str
    metrics: tuple[Metric, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


class Artifact(Struct, frozen=True, kw_only=True):
    """A stored file, or a folder (then without size and digest).

    ``path`` is relative to the folder that was listed; ``digest`` is the SHA-256 of the content in hex.
    """

    path: str
    is_dir: bool = False
    file_size: int | None = None
    digest: str | None = None


class Model(Struct, frozen=True, kw_only=True):
    """A model that a run produced (MLflow's LoggedModel)."""

    model_id: str
    experiment_id: str
    name: str
    source_run_id: str | None
    artifact_uri: str
    status: ModelStatus
    creation_timestamp: int
    last_updated_timestamp: int
    model_type: str = ""
    status_message: str = ""
    lifecycle_stage: LifecycleStage = LifecycleStage.ACTIVE
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()


class RegisteredModel(Struct, frozen=True, kw_only=True):
    """A name under which versions are kept, and who holds its aliases."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    latest_version: int = 0


class ModelVersion(Struct, frozen=True, kw_only=True):
    """An immutable version of a registered model; ``source`` is the URI of its files."""

    name: str
    version: int
    source: str
    creation_timestamp: int
    last_updated_timestamp: int
    run_id: str | None = None
    model_id: str | None = None
    user_id: str = ""
    description: str = ""
    status: ModelStatus = ModelStatus.READY
    run_link: str = ""
    current_stage: str = "None"
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


class Verdict(Struct, frozen=True, kw_only=True):
    """What one gate thought of a candidate, and the figures it looked at."""

    gate: str
    passed: bool
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class MoveKind(StrEnum):
    """Why an alias moved, or that it did not."""

    SET = "set"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    DELETE = "delete"
    REFUSED = "refused"


class AliasMove(Struct, frozen=True, kw_only=True):
    """One step in the history of an alias; a version of None means that nobody held it.

    A move of the kind ``refused`` was asked for and judged, and never made: it is kept for its verdicts.
    """

    name: str
    alias: str
    from_version: int | None
    to_version: int | None
    kind: MoveKind
    moved_by: str
    reason: str
    timestamp: int
    verdicts: tuple[Verdict, ...] = ()


class Deployment(Struct, frozen=True, kw_only=True):
    """A model in service somewhere.

    ``endpoint`` is the base URL that answers ``/invocations``; ``healthy`` is what the target says now.
    """

    name: str
    target: str
    model_uri: str
    endpoint: str
    created_at: int
    healthy: bool
    model_name: str | None = None
    model_version: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Query(Struct, frozen=True, kw_only=True):
    """What a search asks for.

    Attributes:
        filter: MLflow's filter language, see :mod:`ratoon.stores.grammar`; everything fulfils an empty one.
        order_by: Terms such as ``metrics.auc DESC``; what is equal in all of them comes newest first.
        view: Which stages of life.
        limit: The most that a page may hold.
        page_token: Where the page before ended; None for the first.
    """

    filter: str = ""
    order_by: tuple[str, ...] = ()
    view: ViewType = ViewType.ACTIVE_ONLY
    limit: int = 100
    page_token: str | None = None


class MeasuredOn(Struct, frozen=True):
    """A dataset that models were measured on: by its name, and by its digest where that is told."""

    name: str
    digest: str | None = None


class ModelQuery(Query, frozen=True, kw_only=True):
    """What a search of models asks for.

    Attributes:
        datasets: The datasets on which the metrics of the filter were measured, any of them; all if there is none.
            Without a metric in the filter, the models that have any metric on one of them are found.
        order_datasets: For each term of the order, the dataset on which its metric was measured, or None for all.
    """

    datasets: tuple[MeasuredOn, ...] = ()
    order_datasets: tuple[MeasuredOn | None, ...] = ()


class Page(Struct, Generic[T], frozen=True):
    """One page of a listing; ``next_token`` asks for the page behind it, None where there is none."""

    items: tuple[T, ...]
    next_token: str | None = None
