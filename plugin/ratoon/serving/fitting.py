"""What a body says, in the form in which a model's signature can judge it.

Where there is a signature the values stay plain, so that it decides what a number may become; a model without one gets
a DataFrame for a table, and arrays for everything else.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratoon.models.schema import ColSpec
from ratoon.serving.bodies import Body, UnreadableBody

if TYPE_CHECKING:
    import numpy
    import pandas

    from ratoon.models.signature import Signature


def text_columns(signature: Signature | None) -> set[str | int]:
    """The input columns that are text: their names, or positions where they have none."""
    return {name for name, spec in _labels(_columns_of(signature)) if spec.type == "string"}


def fit(body: Body, signature: Signature | None) -> Any:
    """The data of a body, for ``Signature.enforce`` or, without a schema of inputs, for the model itself.

    Raises:
        UnreadableBody: Values do not form arrays, or are not base64 where the signature wants bytes.
    """
    if signature is None or not signature.inputs:
        return _without_schema(body)
    specs = _columns_of(signature)
    if specs:
        return _for_columns(body, specs)
    if body.is_table and signature.inputs[0].name is None and body.columns is not None:
        return [list(row) for row in zip(*map(_plain_list, body.columns.values()), strict=True)]
    return body.rows if body.columns is None else body.columns


def _for_columns(body: Body, specs: Sequence[ColSpec]) -> Any:
    labels = _labels(specs)
    columns = body.columns if body.columns is not None else _by_position(body.rows or [], [name for name, _ in labels])
    if columns is None:
        return _array(body.rows or [])
    # Keys of JSON objects are strings, names of columns may be numbers.
    known = {str(name): name for name, _ in labels}
    columns = {known.get(str(name), name): values for name, values in columns.items()}
    for name, spec in labels:
        if spec.type == "binary" and name in columns:
            columns[name] = [_bytes(value) for value in columns[name]]
    return columns


def _by_position(rows: list[Any], names: list[Any]) -> dict[Any, list[Any]] | None:
    """Columns made of bare rows; None if the rows are not as wide as the signature."""
    if len(names) == 1 and not any(isinstance(row, list) for row in rows):
        return {names[0]: rows}
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def _without_schema(body: Body) -> pandas.DataFrame | dict[Any, numpy.ndarray[Any, Any]] | numpy.ndarray[Any, Any]:
    if body.columns is None:
        return _array(body.rows or [])
    if not body.is_table:
        return {name: _array(values) for name, values in body.columns.items()}
    return _frame(body.columns)


def _frame(columns: Mapping[Any, Any]) -> pandas.DataFrame:
    import pandas

    try:
        return pandas.DataFrame(dict(columns))
    except (ValueError, OverflowError, TypeError) as error:
        raise UnreadableBody("Invalid input. The values do not form a table; give plain values only") from error


def _array(values: Any) -> numpy.ndarray[Any, Any]:
    import numpy

    try:
        array = numpy.asarray(values)
        if array.dtype.kind == "U":
            # numpy writes numbers among strings as strings; what the caller sent must stay what it is.
            mixed = numpy.asarray(values, dtype=object)
            array = array if all(isinstance(value, str) for value in mixed.flat) else mixed
    except (ValueError, OverflowError, TypeError) as error:
        raise UnreadableBody(
            "Invalid input. The values do not form an array; give rows of one length and one depth"
        ) from error
    return array


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:
        raise UnreadableBody("Invalid input. A value of a binary column is not base64; encode it") from error


def _plain_list(values: Any) -> list[Any]:
    plain: list[Any] = values if isinstance(values, list) else values.tolist()
    return plain


def _columns_of(signature: Signature | None) -> list[ColSpec]:
    inputs = (signature and signature.inputs) or ()
    return [spec for spec in inputs if isinstance(spec, ColSpec)]


def _labels(specs: Sequence[ColSpec]) -> list[tuple[str | int, ColSpec]]:
    return [(at if spec.name is None else spec.name, spec) for at, spec in enumerate(specs)]
