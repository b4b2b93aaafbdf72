"""The input example: a few rows that a model can be tried with, in the two JSON files that MLflow writes.

numpy and pandas are imported on use.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput
from ratoon.models.foreign import is_sparse, native
from ratoon.models.value_types import is_single

if TYPE_CHECKING:
    import pandas as pd

EXAMPLE_FILE = "input_example.json"
SERVING_FILE = "serving_input_example.json"
ROWS = 5


def first_rows(data: Any) -> Any:
    """The first rows of a table, an array, a list, or a dict of arrays or lists; a single row or value as it is.

    Tables and arrays of other libraries become those of pandas and numpy.

    Raises:
        InvalidInput: It is none of these.
    """
    import numpy as np
    import pandas as pd

    data = native(data)
    if isinstance(data, pd.DataFrame | pd.Series):
        return data.iloc[:ROWS]
    if isinstance(data, list) or (isinstance(data, np.ndarray) and data.ndim > 0):
        return data[:ROWS]
    if is_sparse(data):
        return data.tocsr()[:ROWS].toarray()
    if isinstance(data, Mapping) and data:
        return _first_of_columns({name: native(value) for name, value in data.items()})
    if is_single(data):
        return data
    raise InvalidInput(
        f"input example of type '{type(data).__name__}' cannot be used; give a DataFrame, an array, a list of records, "
        "or a dict of arrays or lists"
    )


def _first_of_columns(columns: dict[Any, Any]) -> dict[Any, Any]:
    import numpy as np
    import pandas as pd

    if not all(isinstance(value, list | np.ndarray | pd.Series) for value in columns.values()):
        return columns  # a single row, whose lists are values
    return {
        name: list(value[:ROWS]) if isinstance(value, pd.Series) else value[:ROWS] for name, value in columns.items()
    }


def write_example(example: Any, folder: Path) -> dict[str, Any]:
    """Write a few rows as JSON, as they are and in the form that the scoring server takes.

    Returns:
        What goes under ``saved_input_example_info`` in the MLmodel file.

    Raises:
        InvalidInput: A value has no JSON form.
    """
    import numpy as np
    import pandas as pd

    if isinstance(example, pd.Series):
        example = example.to_frame()
    info: dict[str, Any] = {"artifact_path": EXAMPLE_FILE, "serving_input_path": SERVING_FILE}
    if isinstance(example, pd.DataFrame):
        plain: Any = _split(example)
        serving = {"dataframe_split": plain}
        info |= {"type": "dataframe", "pandas_orient": "split" if "columns" in plain else "values"}
    else:
        plain, serving = example, {"inputs": [example] if is_single(example) else example}
        values = example.values() if isinstance(example, Mapping) else [example]
        info["type"] = "ndarray" if any(isinstance(value, np.ndarray) for value in values) else "json_object"
    try:
        (folder / EXAMPLE_FILE).write_text(json.dumps(plain, default=_plain), encoding="utf-8")
        (folder / SERVING_FILE).write_text(json.dumps(serving, default=_plain, indent=2), encoding="utf-8")
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"input example cannot be saved ({error}); give numbers, strings and datetimes") from error
    return info


def _split(frame: pd.DataFrame) -> dict[str, Any]:
    rows = frame.astype(object).where(frame.notna(), None)
    plain: dict[str, Any] = {"columns": list(rows.columns), "data": rows.to_numpy().tolist()}
    if plain["columns"] == list(range(len(plain["columns"]))):
        # MLflow leaves the default header out.
        del plain["columns"]
    return plain


def _plain(value: Any) -> Any:
    """The JSON form of what the json module does not know."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a value of type '{type(value).__name__}' has no JSON form")
