"""Laws of signatures, tried with data that hypothesis makes up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.errors import InvalidInput
from ratoon.models.casting import WIDTHS, cast_column
from ratoon.models.schema import ColSpec
from ratoon.models.signature import Signature, infer_signature
from ratoon.models.value_types import is_missing

# Numbers that floats cannot count are likelier to be lost, and rarely made up.
WHOLE = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**24 + 1, 2**53, 2**53 + 1, -(2**60) - 1, 2**63 - 1])
TEXTS = st.text(max_size=5)
SCALARS = {
    "boolean": st.booleans(),
    "long": WHOLE,
    "double": st.floats(),
    "string": TEXTS,
    "binary": st.binary(max_size=5),
    "datetime": st.datetimes(),
}
NAMES = st.lists(st.text("abcdefgh", min_size=1, max_size=3), min_size=1, max_size=4, unique=True)
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "float16", "float32", "float64")
TRIED = settings(max_examples=60, deadline=None)


@st.composite
def nested(draw: st.DrawFn, depth: int = 2) -> st.SearchStrategy[Any]:
    """A strategy for values of one type."""
    form = draw(st.sampled_from(["scalar", "array", "object"] if depth else ["scalar"]))
    if form == "array":
        return st.lists(draw(nested(depth=depth - 1)), max_size=3)
    if form == "object":
        names = draw(NAMES)
        fields = {name: draw(nested(depth=depth - 1)) for name in names}
        return st.fixed_dictionaries({names[0]: fields[names[0]]}, optional={name: fields[name] for name in names[1:]})
    return SCALARS[draw(st.sampled_from(sorted(SCALARS)))]


@st.composite
def columns(draw: st.DrawFn) -> dict[str, list[Any]]:
    """Columns of equal length, some with gaps."""
    length = draw(st.integers(1, 4))
    return {name: draw(_column(draw(nested(depth=1)), length)) for name in draw(NAMES)}


def _column(values: st.SearchStrategy[Any], length: int) -> st.SearchStrategy[list[Any]]:
    return st.lists(values | st.none(), min_size=length, max_size=length)


def same(one: Any, other: Any) -> bool:
    """Equal, missing alike, and no number changed on its way."""
    if is_missing(one) or is_missing(other):
        return is_missing(one) and is_missing(other)
    if isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in other)
    if isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def equal(frame: pd.DataFrame, data: dict[str, list[Any]]) -> bool:
    return list(frame.columns) == list(data) and all(same(list(frame[name]), data[name]) for name in data)


@TRIED
@given(columns())
def test_infer_then_enforce_changes_no_plain_value(data: dict[str, list[Any]]) -> None:
    signature = infer_signature(data)
    records = [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    assert equal(signature.enforce(data), data)
    assert equal(infer_signature(records).enforce(records), data)
    assert equal(signature.enforce(signature.enforce(data)), data)
    assert Signature.from_mlflow(signature.to_mlflow()) == signature


@TRIED
@given(
    st.dictionaries(
        NAMES.map(lambda names: names[0]),
        st.sampled_from(["boolean", "long", "double", "string", "binary"]).flatmap(
            lambda kind: st.lists(SCALARS[kind] | st.none(), min_size=3, max_size=3)
        ),
        min_size=1,
    )
)
def test_infer_then_enforce_changes_no_value_of_a_table(data: dict[str, list[Any]]) -> None:
    for table in (pl.DataFrame(data, strict=True), pa.table(data)):
        assert equal(infer_signature(table).enforce(table), data)


@TRIED
@given(st.sampled_from(DTYPES), st.lists(WHOLE, min_size=1, max_size=4), st.integers(0, 2))
def test_infer_then_enforce_changes_no_value_of_an_array(dtype: str, values: list[int], gap: int) -> None:
    with np.errstate(over="ignore"):
        array = np.array(values, "int64").astype(dtype)
    frame = pd.DataFrame({"a": array})
    assert infer_signature(frame).enforce(frame)["a"].tolist() == array.tolist()
    assert infer_signature(array).enforce(array) is array
    nullable = frame.convert_dtypes().mask(np.arange(len(values))[:, None] == gap)
    assert same(list(infer_signature(nullable).enforce(nullable)["a"]), list(nullable["a"]))


@TRIED
@given(st.sampled_from(DTYPES), st.lists(WHOLE, min_size=1, max_size=4), st.sampled_from(sorted(WIDTHS)))
def test_a_column_is_cast_without_loss_or_refused_by_name(dtype: str, values: list[int], wanted: str) -> None:
    with np.errstate(over="ignore"):
        column = pd.Series(np.array(values, "int64").astype(dtype))
    try:
        converted = cast_column(column, "age", ColSpec(type=wanted, name="age"), literal=False)
    except InvalidInput as error:
        assert str(error).startswith("column 'age' of the model's input has the wrong type (expected " + wanted)
        assert not all(str(value) in str(error) for value in values if abs(value) > 99) or max(map(abs, values)) < 100
        return
    assert str(converted.dtype) == WIDTHS[wanted]
    assert [int(v) if math.isfinite(v) else v for v in converted] == [int(v) if math.isfinite(v) else v for v in column]


@TRIED
@given(st.lists(WHOLE | st.floats(allow_nan=False), min_size=1, max_size=4), st.sampled_from(["long", "double"]))
def test_plain_numbers_are_cast_without_loss_or_refused_by_name(values: list[Any], wanted: str) -> None:
    for data in ({"age": values}, [{"age": value} for value in values], [[value] for value in values]):
        for required in (True, False):
            given = data if required else _with_gap(data)
            try:
                frame = Signature(inputs=(ColSpec(type=wanted, name="age", required=required),)).enforce(given)
            except InvalidInput as error:
                assert "column 'age'" in str(error)
            else:
                assert [exact(value) for value in frame["age"].dropna()] == [exact(value) for value in values]


def exact(value: Any) -> Any:
    """A number as Python counts it, so that no comparison rounds."""
    return value if isinstance(value, float) and not value.is_integer() else int(value)


def _with_gap(data: Any) -> Any:
    if isinstance(data, dict):
        return {"age": [*data["age"], None]}
    return [*data, {"age": None} if isinstance(data[0], dict) else [None]]


@pytest.mark.parametrize("values", [[2**53 + 1, 0.5], [2**53 + 1, None], [0.5, -(2**60) - 1]])
def test_integers_that_pandas_would_round_are_refused_by_name(values: list[Any]) -> None:
    for rows in (1, 200):
        data = {"age": values * rows}
        signature = Signature(inputs=(ColSpec(type="double", name="age", required=False),))
        for form in (data, [{"age": value} for value in data["age"]], [[value] for value in data["age"]]):
            with pytest.raises(InvalidInput, match="column 'age' .*expected double"):
                signature.enforce(form)
