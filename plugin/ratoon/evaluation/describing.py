"""What is recorded of the data of an evaluation: its name, where it came from, and the digest of its content.

numpy and pandas are imported on use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ratoon.entities import Dataset
from ratoon.errors import InvalidInput
from ratoon.models.inference import infer_schema
from ratoon.models.schema import schema_to_json

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_DIGITS = 32


def describe_data(features: Any, targets: Array, dataset: str | Dataset) -> Dataset:
    """The dataset, as a run records it.

    Args:
        features: What models are called with.
        targets: What is true.
        dataset: The dataset itself; or its name, or a path or URI of which the last part is the name.
    """
    if isinstance(dataset, Dataset):
        return dataset
    located = "/" in dataset
    return Dataset(
        name=PurePosixPath(dataset).name if located else dataset,
        digest=content_digest(features, targets),
        source_type="local" if located else "code",
        source=json.dumps({"uri": dataset} if located else {}),
        schema=_schema(features),
        profile=json.dumps({"num_rows": len(targets)}),
    )


def content_digest(features: Any, targets: Array) -> str:
    """A digest of every value and of the columns' names, equal wherever it is taken; labels of rows do not count."""
    digest = hashlib.sha256()
    for name, values in _columns(features):
        digest.update(f"{name!r}\0".encode())
        digest.update(_hashes(values))
    digest.update(_hashes(targets))
    return digest.hexdigest()[:_DIGITS]


def _columns(features: Any) -> list[tuple[Any, Any]]:
    if hasattr(features, "columns"):
        return [(name, features.iloc[:, place]) for place, name in enumerate(features.columns)]
    if isinstance(features, Mapping):
        return sorted(features.items())
    return [("", features)]


def _hashes(values: Any) -> bytes:
    import numpy as np
    import pandas as pd

    if not isinstance(values, pd.Series):
        array = np.asarray(values)
        if array.dtype.kind in "biufcSU":
            # One of a million dimensions with the same bytes is another one.
            return f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()
        values = pd.Series(list(array.ravel()), dtype=object)
    try:
        hashed = pd.util.hash_pandas_object(values, index=False)
    except TypeError:  # lists and other things that have no hash
        hashed = pd.util.hash_pandas_object(values.map(repr), index=False)
    return hashed.to_numpy().astype("<u8").tobytes()


def _schema(features: Any) -> str | None:
    """Columns and their types in MLflow's words; None for anything but a table that has such words."""
    if not hasattr(features, "columns"):
        return None
    try:
        text = schema_to_json(infer_schema(features))
    except InvalidInput:
        return None
    return json.dumps({"mlflow_colspec": json.loads(text or "[]")})
