"""Reading a model's input example back, in the form in which a caller without numpy or pandas would send it.

numpy and pandas are imported on use.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt
from ratoon.models.mlmodel import ModelInfo, data_file
from ratoon.models.schema import ColSpec
from ratoon.models.signature import Signature


def read_example(folder: Path, info: ModelInfo, signature: Signature | None) -> Any:
    """The input example of a model, for :meth:`~ratoon.models.loading.LoadedModel.predict`.

    Returns:
        A dict of lists where the columns have names, else rows: numbers without a width of their own, which the
        signature brings into its form. Without a signature a DataFrame or an array. None if there is no example.

    Raises:
        Corrupt: The file is none that MLflow or ratoon writes.
    """
    said = info.saved_input_example_info
    if not said:
        return None
    path = data_file(folder, said.get("artifact_path"))
    try:
        plain = json.loads(path.read_bytes())
        if said.get("type") == "dataframe":
            return _table(plain, signature)
        return _array(plain) if said.get("type") == "ndarray" and signature is None else plain
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise Corrupt(f"input example '{path.name}' cannot be read ({error}); save the model again") from error


def row_count(example: Any) -> int:
    """How many rows an example has: as many as its columns are long."""
    if isinstance(example, Mapping):
        return max((len(column) for column in example.values() if hasattr(column, "__len__")), default=1)
    return len(example)


def _table(plain: Any, signature: Signature | None) -> Any:
    rows = plain["data"] if isinstance(plain, Mapping) else plain
    names = plain.get("columns") if isinstance(plain, Mapping) else None
    if not isinstance(rows, list):
        raise ValueError("no rows")
    if signature is None or not signature.inputs:
        import pandas as pd

        return pd.DataFrame(rows, columns=names)
    if names is None:
        return rows
    binary = {spec.name for spec in signature.inputs if isinstance(spec, ColSpec) and spec.type == "binary"}
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return {name: [_value(each, name in binary) for each in column] for name, column in columns}


def _value(value: Any, is_binary: bool) -> Any:
    return base64.b64decode(value, validate=True) if is_binary and value is not None else value


def _array(plain: Any) -> Any:
    import numpy as np

    return {name: np.asarray(each) for name, each in plain.items()} if isinstance(plain, Mapping) else np.asarray(plain)
