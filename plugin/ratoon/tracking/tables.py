"""Tables as JSON documents, in pandas' form ``split``: the columns' names, and the rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ratoon.errors import InvalidInput


class Table(Struct, frozen=True):
    """Named columns and the rows below them."""

    columns: list[str]
    data: list[list[Any]]


def table_of(data: Any) -> Table:
    """A table from a pandas DataFrame, or from a mapping of names to lists of values or to single values."""
    if hasattr(data, "to_json") and hasattr(data, "columns"):
        found = json.loads(data.to_json(orient="split", index=False, date_format="iso"))
        return Table([str(name) for name in found["columns"]], found["data"])
    if not isinstance(data, Mapping):
        raise InvalidInput(f"a table cannot be made of {type(data).__name__}; give a DataFrame, or columns by name")
    columns = {str(name): _values(value) for name, value in data.items()}
    if len({len(values) for values in columns.values()}) > 1:
        lengths = ", ".join(f"{name}: {len(values)}" for name, values in columns.items())
        raise InvalidInput(f"the columns of a table differ in length ({lengths}); give as many values to each")
    return Table(list(columns), [list(row) for row in zip(*columns.values(), strict=True)])


def appended(before: bytes, table: Table, artifact_file: str) -> str:
    """The document of a table that continues another one; what one of them has no column for is null."""
    if before:
        table = _joined(_read(before, artifact_file), table)
    return json.dumps({"columns": table.columns, "data": table.data}, default=str)


def _joined(first: Table, second: Table) -> Table:
    columns = list(dict.fromkeys([*first.columns, *second.columns]))
    rows = []
    for table in (first, second):
        places = [table.columns.index(name) if name in table.columns else None for name in columns]
        rows += [[None if place is None else row[place] for place in places] for row in table.data]
    return Table(columns, rows)


def _read(document: bytes, artifact_file: str) -> Table:
    try:
        found = json.loads(document)
        return Table(list(found["columns"]), list(found["data"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"file '{artifact_file}' is no table; log the table under another name") from error


def _values(value: Any) -> list[Any]:
    """The values of one column; a single value is a column of one."""
    if hasattr(value, "tolist"):
        value = value.tolist()  # an array, a Series or a scalar of NumPy
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return [_plain(each) for each in values]


def _plain(value: Any) -> Any:
    """A value that JSON knows: it has no word for NaN and the infinities."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return None if isinstance(value, float) and not math.isfinite(value) else value
