"""Columns, shapes and types of data, in MLflow's words.

No library is imported: a table tells of itself what it is, and a Spark table is asked for nothing but its schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

MOST_COLUMNS = 2000  # what a schema names; more of them are counted only

_KINDS = {"b": "boolean", "i": "long", "u": "long", "f": "double", "M": "datetime", "S": "binary"}
_SHORT = {"i": "integer", "u": "integer", "f": "float"}
_NAMES = {
    "bool": "boolean",
    "boolean": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "uint8": "integer",
    "uint16": "integer",
    "byte": "integer",
    "short": "integer",
    "integer": "integer",
    "int64": "long",
    "uint32": "long",
    "uint64": "long",
    "long": "long",
    "halffloat": "float",
    "float": "float",
    "float32": "float",
    "float64": "double",
    "double": "double",
    "date": "datetime",
    "date32[day]": "datetime",
    "datetime": "datetime",
    "timestamp": "datetime",
    "binary": "binary",
}
# To ask these for their shape may compute them.
_LAZY = ("pyspark", "databricks", "dask", "dask_expr", "ibis", "snowflake")


class Shape(NamedTuple):
    """How large data is; None where nobody knows without computing it."""

    rows: int | None
    columns: int | None
    sizes: tuple[int, ...] | None = None  # of an array, which has no columns
    dtype: str = ""


def library_of(data: object) -> str:
    """The top-level package of the class."""
    return type(data).__module__.partition(".")[0]


def shape_of(data: Any) -> Shape | None:
    """The size of a table or an array; None for anything else."""
    if is_spark(data):
        return Shape(None, len(data.columns))
    if library_of(data) in _LAZY:
        return None
    shape = getattr(data, "shape", None)
    if not isinstance(shape, tuple) or not shape or not all(isinstance(size, int) for size in shape):
        return None
    if hasattr(data, "columns") and len(shape) == 2:
        return Shape(shape[0], shape[1])
    return Shape(shape[0], None, tuple(shape), str(getattr(data, "dtype", "unknown")))


def schema_of(data: Any) -> str | None:
    """Columns and their types, or an array's type and shape; None for anything that has neither."""
    shape = shape_of(data)
    if shape is None:
        return None
    if shape.sizes is not None:
        return _tensor(shape)
    count = shape.columns or 0
    columns = [{"type": kind, "name": name} for name, kind in islice(columns_of(data), MOST_COLUMNS)]
    if not columns and count:
        return None
    document: dict[str, Any] = {"mlflow_colspec": columns}
    if count > MOST_COLUMNS:
        document["note"] = f"the first {MOST_COLUMNS} of {count} columns"
    return json.dumps(document)


def columns_of(data: Any) -> Iterator[tuple[str, str]]:
    """The names of a table's columns and MLflow's words for their types, one after the other."""
    if is_spark(data):
        return ((field.name, _word(field.dataType.typeName())) for field in data.schema.fields)
    if library_of(data) == "pyarrow":
        return ((field.name, _word(str(field.type))) for field in data.schema)
    columns, dtypes = getattr(data, "columns", None), getattr(data, "dtypes", None)
    if columns is None or dtypes is None or len(columns) != len(dtypes):
        return iter(())
    return ((str(name), _type(dtype)) for name, dtype in zip(columns, _each(dtypes), strict=False))


def is_spark(data: object) -> bool:
    """Whether it is a table of Spark, which computes its rows when it is asked for them."""
    return library_of(data) == "pyspark" and hasattr(data, "schema") and hasattr(data, "columns")


def _each(dtypes: Any) -> Iterable[Any]:
    values: Iterable[Any] = getattr(dtypes, "values", dtypes)  # a Series of pandas
    return values


def _type(dtype: Any) -> str:
    kind = getattr(dtype, "kind", None)
    if isinstance(kind, str):
        if kind in _SHORT and getattr(dtype, "itemsize", 8) < (8 if kind != "u" else 4):
            return _SHORT[kind]
        return _KINDS.get(kind, "string")
    return _word(str(dtype))


def _word(name: str) -> str:
    """MLflow's word for the name that Polars, Arrow or Spark gives a type."""
    return _NAMES.get(name.lower(), _NAMES.get(name.lower().partition("[")[0].partition("(")[0], "string"))


def _tensor(shape: Shape) -> str:
    spec = {"dtype": shape.dtype, "shape": [-1, *(shape.sizes or ())[1:]]}
    return json.dumps({"mlflow_tensorspec": {"features": json.dumps([{"type": "tensor", "tensor-spec": spec}])}})
