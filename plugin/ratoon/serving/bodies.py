"""Bodies of ``/invocations`` as plain Python values, whatever the format: columns by name, or rows.

Plain values are what a signature can judge: a number in JSON has no width, one in a DataFrame has. Messages say where
a body is wrong and never repeat what it holds. pandas is imported for CSV only.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from ratoon.errors import InvalidInput

FIELDS = ("dataframe_split", "dataframe_records", "instances", "inputs")
REQUIRED = f"The input must be a JSON dictionary with exactly one of the input fields {', '.join(FIELDS)}"

# What stands for a missing value in a CSV column that is not text; in text only the empty field does, "NA" is a word.
MISSING = ("", "NA", "NaN", "nan", "null")


class UnreadableBody(InvalidInput):
    """The body is not written in the format that its content type names."""


class Body(Struct, frozen=True):
    """What a body says.

    Attributes:
        columns: Values by the name of the column, None if the body has rows without names.
        rows: Rows without names.
        is_table: Whether the caller meant a table, all of whose columns are equally long, rather than arrays.
        params: The parameters of the prediction.
    """

    columns: Mapping[Any, Any] | None = None
    rows: list[Any] | None = None
    is_table: bool = False
    params: Mapping[str, Any] | None = None


class _Split(Struct, frozen=True):
    data: list[list[Any]]
    columns: list[str | int] | UnsetType = UNSET  # MLflow leaves out the names 0, 1, 2, …
    index: list[Any] | None = None


class _Envelope(Struct, frozen=True):
    dataframe_split: _Split | UnsetType = UNSET
    dataframe_records: list[dict[str, Any]] | UnsetType = UNSET
    instances: list[Any] | UnsetType = UNSET
    inputs: list[Any] | dict[str, Any] | UnsetType = UNSET
    params: dict[str, Any] | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def read_json(content: bytes) -> Body:
    """Read a JSON body; UnreadableBody if it has not the form of MLflow's protocol."""
    envelope = _read_envelope(content)
    given = [name for name in FIELDS if getattr(envelope, name) is not UNSET]
    if len(given) != 1:
        received = f"it has {' and '.join(given)}" if given else "it has none of them"
        raise UnreadableBody(f"Invalid input. {REQUIRED}; {received}")
    value, params = getattr(envelope, given[0]), envelope.params
    if given == ["dataframe_split"]:
        return Body(columns=_split_columns(value), is_table=True, params=params)
    if given == ["dataframe_records"]:
        return Body(columns=_record_columns(value), is_table=True, params=params)
    if isinstance(value, dict):
        # A single value stands for one row.
        return Body(columns={name: _as_list(column) for name, column in value.items()}, params=params)
    if any(isinstance(row, dict) for row in value):
        return Body(columns=_instance_columns(value, given[0]), params=params)
    return Body(rows=value, params=params)


def read_csv(content: bytes, text_columns: Collection[str | int] = ()) -> Body:
    """Read a CSV body with a header row.

    Args:
        content: The bytes, UTF-8.
        text_columns: Names, or positions, of columns that are text, so that ``007`` stays what it is.

    Raises:
        UnreadableBody: It is malformed, or a line has not one field a column.
    """
    import pandas

    try:
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UnreadableBody("Invalid input. The CSV body is not UTF-8; send it as UTF-8") from error
    names = _csv_header(text)
    words = {name for position, name in enumerate(names) if name in text_columns or position in text_columns}
    try:
        frame = pandas.read_csv(
            io.StringIO(text),
            dtype=dict.fromkeys(words, "str"),
            na_values={name: [""] if name in words else list(MISSING) for name in names},
            keep_default_na=False,
            skip_blank_lines=False,
            index_col=False,
        )
    except (ValueError, OverflowError) as error:
        raise UnreadableBody("Invalid input. The CSV body cannot be read as a table; check its quotes") from error
    return Body(columns={name: frame.iloc[:, at].to_numpy() for at, name in enumerate(names)}, is_table=True)


def _read_envelope(content: bytes) -> _Envelope:
    try:
        return _ENVELOPE.decode(content)
    except msgspec.ValidationError as error:
        raise UnreadableBody(f"Invalid input ({error}). {REQUIRED}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # NaN is not JSON, but Python's json module, and with it MLflow's client, writes it.
        if b"NaN" in content or b"Infinity" in content:
            return _read_python_json(content)
        raise UnreadableBody(f"Invalid input ({_malformed(error)}). {REQUIRED}") from error


def _read_python_json(content: bytes) -> _Envelope:
    try:
        return msgspec.convert(json.loads(content), _Envelope)
    except msgspec.ValidationError as error:
        raise UnreadableBody(f"Invalid input ({error}). {REQUIRED}") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableBody(f"Invalid input ({_malformed(error)}). {REQUIRED}") from error


def _malformed(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "the body is not UTF-8"
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply"
    return str(error) if isinstance(error, msgspec.DecodeError) else "JSON is malformed"


def _split_columns(split: _Split) -> dict[str | int, list[Any]]:
    """Columns by name. An index is allowed and says nothing: rows are answered in the order in which they came."""
    width = len(split.data[0]) if split.data else 0
    names = list(range(width)) if split.columns is UNSET else split.columns
    _refuse_duplicates(names, "dataframe_split.columns")
    for position, row in enumerate(split.data):
        if len(row) != len(names):
            raise UnreadableBody(
                f"Invalid input. Row {position} of dataframe_split.data has {len(row)} values for {len(names)} "
                "columns; give every row one value a column, null where there is none"
            )
    if not split.data:
        return {name: [] for name in names}
    return dict(zip(names, map(list, zip(*split.data, strict=True)), strict=True))


def _record_columns(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Columns by name; a key that a record lacks and others have is a missing value, as it is to MLflow."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def _instance_columns(rows: list[Any], field: str) -> dict[str, list[Any]]:
    first = rows[0]
    for position, row in enumerate(rows):
        if not isinstance(row, dict) or row.keys() != first.keys():
            raise UnreadableBody(
                f"Invalid input. Entry {position} of {field} differs in form from others; "
                "give dictionaries with the same keys, or lists only"
            )
    return {name: [row[name] for row in rows] for name in first}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _csv_header(text: str) -> list[str]:
    """The names, once every line has one field a column: pandas fills up, cuts off or shifts what does not fit."""
    lines = csv.reader(io.StringIO(text), strict=True)
    try:
        names = next(lines, [])
        if not names:
            raise UnreadableBody("Invalid input. The CSV body is empty; begin with a header row")
        _refuse_duplicates(names, "the CSV header")
        for row in lines:
            if len(row) != len(names):
                raise UnreadableBody(
                    f"Invalid input. Line {lines.line_num} of the CSV body has {len(row)} fields for {len(names)} "
                    "columns; give every line one field a column, empty where there is none"
                )
    except csv.Error as error:
        raise UnreadableBody(
            f"Invalid input. Line {lines.line_num} of the CSV body is malformed; check its quotes"
        ) from error
    return names


def _refuse_duplicates(names: Sequence[str | int], where: str) -> None:
    seen: dict[str, int] = {}
    for position, name in enumerate(names):
        first = seen.setdefault(str(name), position)
        if first != position:
            raise UnreadableBody(
                f"Invalid input. Positions {first} and {position} of {where} have one name; give each column its own"
            )
