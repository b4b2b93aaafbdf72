"""Values to test with: complete ones, of which a test names only what it is about."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from ratoon.entities import (
    AliasMove,
    Dataset,
    DatasetInput,
    Metric,
    Model,
    ModelStatus,
    ModelVersion,
    MoveKind,
    Run,
    RunStatus,
)

T = TypeVar("T")

NAME_TAG = "mlflow.runName"


def run_of(experiment_id: str, **changes: Any) -> Run:
    """A running run with an id of its own."""
    run_id = changes.pop("run_id", None) or uuid.uuid4().hex
    values: dict[str, Any] = {
        "run_id": run_id,
        "run_name": "ripe-rice-7",
        "experiment_id": experiment_id,
        "user_id": "ada",
        "status": RunStatus.RUNNING,
        "start_time": 1_700_000_000_000,
        "artifact_uri": f"mlflow-artifacts:/{experiment_id}/{run_id}/artifacts",
    }
    return Run(**values | changes)


def told(wanted: Run, found: Run) -> Run:
    """The run that was wanted as a store may tell it: under its own id, with the tag that repeats the name."""
    tags = {**wanted.tags, **{key: wanted.run_name for key in found.tags if key == NAME_TAG}}
    return msgspec.structs.replace(wanted, run_id=found.run_id, artifact_uri=found.artifact_uri, tags=tags)


def own_tags(run: Run) -> dict[str, str]:
    """The tags that a run was given, without the one that repeats its name."""
    return {key: value for key, value in run.tags.items() if key != NAME_TAG}


def point(key: str, value: float, step: int = 0, timestamp: int = 1_700_000_000_000) -> Metric:
    """A point of a metric at a fixed time."""
    return Metric(key, value, timestamp, step)


def dataset_input(
    name: str = "wine", digest: str = "0a1b2c3d", context: str = "training", **changes: Any
) -> DatasetInput:
    """A dataset in its role."""
    dataset = Dataset(name=name, digest=digest, source_type="local", source="data/wine.csv", **changes)
    return DatasetInput(dataset=dataset, tags={"mlflow.data.context": context})


def model_of(run: Run, **changes: Any) -> Model:
    """A model of a run whose files are not complete yet."""
    model_id = f"m-{uuid.uuid4().hex}"
    values: dict[str, Any] = {
        "model_id": model_id,
        "experiment_id": run.experiment_id,
        "name": "model",
        "source_run_id": run.run_id,
        "artifact_uri": f"mlflow-artifacts:/{run.experiment_id}/models/{model_id}/artifacts",
        "status": ModelStatus.PENDING,
        "creation_timestamp": 1_700_000_000_000,
        "last_updated_timestamp": 1_700_000_000_000,
    }
    return Model(**values | changes)


def version_of(name: str, **changes: Any) -> ModelVersion:
    """A version that is to be stored; its number and times are the registry's to give."""
    values: dict[str, Any] = {
        "version": 0,
        "source": f"models:/m-{'0' * 32}",
        "creation_timestamp": 0,
        "last_updated_timestamp": 0,
    }
    return ModelVersion(name=name, **values | changes)


def move_of(name: str, before: int | None, after: int | None, **changes: Any) -> AliasMove:
    """A move of the alias champion."""
    values: dict[str, Any] = {
        "alias": "champion",
        "kind": MoveKind.SET,
        "moved_by": "ada",
        "reason": "it is better",
        "timestamp": 1_700_000_000_000,
    }
    return AliasMove(name=name, from_version=before, to_version=after, **values | changes)


def at_once(call: Callable[[int], T], times: int = 16) -> list[T | Exception]:
    """Call from as many threads, all let go at the same moment; an exception is the answer of its call."""
    gate = threading.Barrier(times)

    def wait_and_call(number: int) -> T | Exception:
        gate.wait(timeout=60)
        try:
            return call(number)
        except Exception as error:  # what was raised is what the test looks at
            return error

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(wait_and_call, range(times)))


def refused(answers: Iterable[object]) -> list[Exception]:
    """Those of the answers of :func:`at_once` that are exceptions."""
    return [answer for answer in answers if isinstance(answer, Exception)]
