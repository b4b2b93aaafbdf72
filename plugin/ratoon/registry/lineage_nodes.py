"""The nodes and edges of lineage, and how the things that the stores know become nodes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct, field

from ratoon.entities import Dataset, Deployment, Model, ModelVersion, Run

_SHORT = 8


class Kind(StrEnum):
    """What a node is."""

    DATASET = "dataset"
    RUN = "run"
    MODEL = "model"
    VERSION = "version"
    ALIAS = "alias"
    DEPLOYMENT = "deployment"


class Node(Struct, frozen=True, kw_only=True):
    """One thing.

    Attributes:
        id: Tells it apart: its kind, a colon and what identifies it there.
        kind: What it is.
        label: What people call it.
        details: What else is known of it.
    """

    id: str
    kind: Kind
    label: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Edge(Struct, frozen=True, kw_only=True):
    """That ``target`` came of ``source``, by their ids, and in which way."""

    source: str
    target: str
    relation: str


class Alias(NamedTuple):
    """An alias and the version that holds it."""

    name: str
    alias: str
    version: int


class Found(NamedTuple):
    """A node, and the thing itself: a value of :mod:`ratoon.entities`, or an :class:`Alias`."""

    node: Node
    thing: Any


def dataset_node(dataset: Dataset) -> Found:
    """A dataset; another digest is another one."""
    details = {
        "name": dataset.name,
        "digest": dataset.digest,
        "source_type": dataset.source_type,
        "source": dataset.source,
    }
    label = f"{dataset.name} ({dataset.digest[:_SHORT]})"
    node = Node(id=f"dataset:{dataset.digest}/{dataset.name}", kind=Kind.DATASET, label=label, details=details)
    return Found(node, dataset)


def run_node(run: Run) -> Found:
    """A run, a deleted one too."""
    details = {
        "name": run.run_name,
        "experiment_id": run.experiment_id,
        "status": run.status,
        "start_time": run.start_time,
        "user": run.user_id,
        "lifecycle_stage": run.lifecycle_stage,
    }
    label = f"{run.run_name} ({run.run_id[:_SHORT]})"
    return Found(Node(id=f"run:{run.run_id}", kind=Kind.RUN, label=label, details=details), run)


def model_node(model: Model) -> Found:
    """A model that a run produced."""
    details = {"name": model.name, "status": model.status, "creation_timestamp": model.creation_timestamp}
    label = f"{model.name} ({model.model_id[: _SHORT + 2]})"
    return Found(Node(id=f"model:{model.model_id}", kind=Kind.MODEL, label=label, details=details), model)


def version_node(version: ModelVersion) -> Found:
    """A version of a registered model."""
    details = {
        "name": version.name,
        "version": version.version,
        "source": version.source,
        "user": version.user_id,
        "creation_timestamp": version.creation_timestamp,
    }
    label = f"{version.name} version {version.version}"
    node = Node(id=f"version:{version.name}/{version.version}", kind=Kind.VERSION, label=label, details=details)
    return Found(node, version)


def alias_node(alias: Alias) -> Found:
    """An alias, as it is held now."""
    label = f"{alias.name}@{alias.alias}"
    details = {"name": alias.name, "alias": alias.alias, "version": alias.version}
    return Found(Node(id=f"alias:{label}", kind=Kind.ALIAS, label=label, details=details), alias)


def deployment_node(deployment: Deployment) -> Found:
    """A model in service."""
    details = {
        "target": deployment.target,
        "model_uri": deployment.model_uri,
        "model_version": deployment.model_version,
        "endpoint": deployment.endpoint,
        "healthy": deployment.healthy,
        "created_at": deployment.created_at,
    }
    name = f"deployment:{deployment.target}/{deployment.name}"
    return Found(Node(id=name, kind=Kind.DEPLOYMENT, label=deployment.name, details=details), deployment)
