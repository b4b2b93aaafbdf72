"""Tables and arrays of other libraries as those of pandas and numpy: Polars, Arrow, and tensors.

None of these libraries is imported: who has data of theirs has imported them. Missing integers and truth values stay
missing, so that nothing becomes a float that was none.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

NULLABLE = {
    "int8": "Int8",
    "int16": "Int16",
    "int32": "Int32",
    "int64": "Int64",
    "uint8": "UInt8",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
    "bool": "boolean",
}


def native(data: Any) -> Any:
    """A DataFrame or Series of pandas, or an array of numpy; anything that is of no foreign library as it is.

    Raises:
        InvalidInput: The data has no values yet, or none that numpy has a type for.
    """
    polars, arrow = sys.modules.get("polars"), sys.modules.get("pyarrow")
    if polars is not None and isinstance(data, (polars.DataFrame, polars.Series, polars.LazyFrame)):
        return _of_polars(polars, data)
    if arrow is not None and isinstance(data, (arrow.Table, arrow.RecordBatch, arrow.Array, arrow.ChunkedArray)):
        return _of_arrow(arrow, data)
    if _is_tensor(data):
        return _of_tensor(data)
    return data


def plain_column(column: pd.Series) -> pd.Series:
    """A column of Arrow's types in those of pandas and numpy; any other as it is."""
    arrow = sys.modules.get("pyarrow")
    if arrow is None or not hasattr(column.dtype, "pyarrow_dtype"):
        return column
    converted = _column_of_arrow(arrow.chunked_array(column.array.__arrow_array__()))
    converted.index, converted.name = column.index, column.name
    return converted


def is_sparse(data: Any) -> bool:
    """Whether it is a sparse matrix or array of SciPy."""
    return type(data).__module__.startswith("scipy.sparse") and hasattr(data, "tocsr")


def _of_polars(polars: Any, data: Any) -> Any:
    import pandas as pd

    if isinstance(data, polars.LazyFrame):
        raise InvalidInput("data of type 'LazyFrame' has no values yet (it is a plan); give data.collect()")
    if isinstance(data, polars.Series):
        return _column_of_polars(polars, data).rename(data.name or None)
    columns = {series.name: _column_of_polars(polars, series) for series in data.get_columns()}
    return pd.DataFrame(columns, index=pd.RangeIndex(data.height), copy=False)


def _column_of_polars(polars: Any, series: Any) -> pd.Series:
    import pandas as pd

    dtype, gaps = series.dtype, series.null_count() > 0
    if dtype.is_integer() or dtype == polars.Boolean:
        if not gaps:
            return pd.Series(series.to_numpy())
        values = series.fill_null(False if dtype == polars.Boolean else 0).to_numpy()
        return pd.Series(values, dtype=NULLABLE[values.dtype.name]).mask(series.is_null().to_numpy())
    if dtype.is_float() or dtype == polars.Date:
        return pd.Series(series.to_numpy())
    if dtype == polars.Datetime:
        return pd.Series(series.to_numpy()) if dtype.time_zone is None else _zoned(series)
    if dtype in (polars.Categorical, polars.Enum):
        categories = dtype.categories.to_list() if dtype == polars.Enum else None
        return pd.Series(pd.Categorical(series.to_list(), categories=categories))
    # pandas finds its own type for strings; what else is left are Python's objects.
    return pd.Series(series.to_list(), dtype=None if dtype == polars.String else object)


def _zoned(series: Any) -> pd.Series:
    import pandas as pd

    zone = series.dtype.time_zone
    moments = pd.Series(series.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy())
    return moments.dt.tz_localize("UTC").dt.tz_convert(zone)


def _of_arrow(arrow: Any, data: Any) -> Any:
    import pandas as pd

    if isinstance(data, arrow.RecordBatch):
        data = arrow.Table.from_batches([data])
    if not isinstance(data, arrow.Table):
        return _column_of_arrow(arrow.chunked_array([data]) if isinstance(data, arrow.Array) else data)
    names = data.column_names
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"column {double!r} is given twice; rename or drop one of the two")
    labels = _index_names(data)
    columns = {name: _column_of_arrow(data.column(name)) for name in names if name not in labels}
    return pd.DataFrame(columns, index=pd.RangeIndex(data.num_rows), copy=False)


def _index_names(table: Any) -> set[str]:
    """Columns that are labels of rows: pandas stores them beside the others."""
    metadata = (table.schema.metadata or {}).get(b"pandas")
    labels = json.loads(metadata).get("index_columns", []) if metadata else []
    return {label for label in labels if isinstance(label, str)}


def _column_of_arrow(column: Any) -> pd.Series:
    import pandas as pd

    options: dict[str, Any] = {"date_as_object": False, "maps_as_pydicts": "strict"}
    name = str(column.type)
    if column.null_count and name in NULLABLE:
        dtype = pd.api.types.pandas_dtype(NULLABLE[name])
        options["types_mapper"] = lambda _: dtype
    converted: pd.Series = column.to_pandas(**options)
    return converted


def _is_tensor(data: Any) -> bool:
    """Whether it is an array of a library such as PyTorch, TensorFlow or JAX."""
    top = type(data).__module__.partition(".")[0]
    return top not in ("numpy", "pandas", "scipy", "builtins") and all(
        hasattr(data, name) for name in ("__array__", "dtype", "shape")
    )


def _of_tensor(data: Any) -> Any:
    import numpy as np

    try:
        # PyTorch keeps tensors in the graph of gradients, or on another device.
        data = data.detach().cpu() if hasattr(data, "detach") else data
        return np.asarray(data)
    except (TypeError, RuntimeError):
        raise InvalidInput(
            f"tensor of type {str(data.dtype)!r} cannot be described (numpy has no such type); "
            "convert it, for example to 32-bit floats"
        ) from None
