"""Bodies that a signature judges: types that JSON and CSV have no words for, and values that fit nothing."""

from __future__ import annotations

import json
import string
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.errors import InvalidInput
from ratoon.models.schema import ColSpec, TensorSpec
from ratoon.models.signature import Signature, infer_signature
from ratoon.serving.bodies import UnreadableBody
from ratoon.serving.codecs import decode

NARROW = pd.DataFrame(
    {
        "i": np.array([1, 2], dtype="int32"),
        "f": np.array([0.1, 0.2], dtype="float32"),
        "d": [0.1, 0.2],
        "b": [True, False],
        "t": pd.to_datetime(["2026-01-02", "2026-01-03T04:05:06"], format="ISO8601"),
        "s": ["x", None],
        "raw": [b"\x00\xff", b""],
    }
)
PLAIN: dict[str, list[Any]] = {
    "i": [1, 2],
    "f": [0.1, 0.2],
    "d": [0.1, 0.2],
    "b": [True, False],
    "t": ["2026-01-02", "2026-01-03T04:05:06"],
    "s": ["x", None],
    "raw": ["AP8=", ""],
}
ROWS = [list(row) for row in zip(*PLAIN.values(), strict=True)]
RECORDS = [dict(zip(PLAIN, row, strict=True)) for row in ROWS]
NUMBERED = infer_signature(pd.DataFrame({0: [1.5], 1: [2.5]}))
ARRAY = Signature(inputs=(TensorSpec(dtype="float32", shape=(-1, 2)),))
NAMED_ARRAY = Signature(inputs=(TensorSpec(dtype="int64", shape=(-1, 2), name="x"),))


def fitted(signature: Signature, document: dict[str, Any]) -> Any:
    return signature.enforce(decode(json.dumps(document).encode(), None, signature).data)


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": list(PLAIN), "data": ROWS}},
        {"dataframe_records": RECORDS},
        {"instances": RECORDS},
        {"inputs": PLAIN},
        {"instances": ROWS},
        {"inputs": ROWS},
    ],
)
def test_a_signature_gets_back_the_types_that_json_has_no_words_for(document: dict[str, Any]) -> None:
    pd.testing.assert_frame_equal(fitted(infer_signature(NARROW), document), NARROW)


def test_a_signature_gets_back_the_types_that_csv_has_no_words_for() -> None:
    known = NARROW.drop(columns="raw")
    signature = infer_signature(known)
    asked = decode(known.to_csv(index=False).encode(), "text/csv", signature)
    pd.testing.assert_frame_equal(signature.enforce(asked.data), known)


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_records": [{"0": 1.5, "1": 2.5}]},
        {"inputs": {"1": [2.5], "0": [1.5]}},
        {"dataframe_split": {"data": [[1.5, 2.5]]}},
        {"dataframe_split": {"columns": [1, 0], "data": [[2.5, 1.5]]}},
    ],
)
def test_columns_that_are_numbered_are_found_by_the_keys_of_json(document: dict[str, Any]) -> None:
    assert fitted(NUMBERED, document).to_numpy().tolist() == [[1.5, 2.5]]


def test_columns_that_are_numbered_are_found_by_a_csv_header() -> None:
    frame = NUMBERED.enforce(decode(b"1,0\n2.5,1.5\n", "text/csv", NUMBERED).data)
    assert frame.to_numpy().tolist() == [[1.5, 2.5]]


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [[1, 2.5]]},
        {"inputs": [[1, 2.5]]},
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2.5]]}},
        {"dataframe_records": [{"a": 1, "b": 2.5}]},
    ],
)
def test_a_signature_of_one_array_takes_rows_and_tables(document: dict[str, Any]) -> None:
    array = fitted(ARRAY, document)
    assert array.dtype == np.float32 and array.tolist() == [[1, 2.5]]


def test_a_signature_of_one_array_takes_csv() -> None:
    assert ARRAY.enforce(decode(b"a,b\n1,2.5\n", "text/csv", ARRAY).data).tolist() == [[1, 2.5]]


@pytest.mark.parametrize("document", [{"inputs": {"x": [[1, 2]]}}, {"instances": [{"x": [1, 2]}]}])
def test_a_signature_of_named_arrays_takes_them_by_name(document: dict[str, Any]) -> None:
    assert fitted(NAMED_ARRAY, document)["x"].tolist() == [[1, 2]]


def test_one_column_takes_bare_values() -> None:
    frame = fitted(infer_signature(pd.DataFrame({"text": ["a"]})), {"instances": ["x", "y"]})
    assert frame["text"].tolist() == ["x", "y"]


def test_bare_rows_of_another_width_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"shape \(1, 3\) does not fit the model \(it takes 2 columns"):
        fitted(NUMBERED, {"instances": [[1.5, 2.5, 3.5]]})


@pytest.mark.parametrize("text", ["s3cret-4711", "s3crét", "AP8"])
def test_bytes_that_are_not_base64_are_refused(text: str) -> None:
    signature = Signature(inputs=(ColSpec(type="binary", name="raw"),))
    with pytest.raises(UnreadableBody, match="binary column is not base64") as caught:
        fitted(signature, {"inputs": {"raw": [text]}})
    assert text not in str(caught.value)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
names = st.text(string.ascii_letters, min_size=1, max_size=4)
fields = st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params", "other"])
splits = st.fixed_dictionaries(
    {"columns": st.lists(names, max_size=3), "data": st.lists(st.lists(values, max_size=3), max_size=3)}
)
cells = st.one_of([scalars, values, *(st.just(value) for column in PLAIN.values() for value in column)])
tables = st.fixed_dictionaries({name: st.lists(cells, min_size=1, max_size=2) for name in PLAIN})
signatures = st.sampled_from(
    [
        None,
        infer_signature(NARROW),
        Signature(inputs=(ColSpec(type="long"), ColSpec(type="datetime", required=False))),
        ARRAY,
        Signature(inputs=(TensorSpec(dtype="int8", shape=(-1,), name="i"),)),
    ]
)


@settings(deadline=None)
@given(st.dictionaries(fields, values | splits, max_size=3), signatures)
def test_any_json_is_read_or_refused_as_invalid_input(document: dict[str, Any], signature: Signature | None) -> None:
    try:
        asked = decode(json.dumps(document).encode(), None, signature)
    except InvalidInput:
        return
    assert asked.data is not None


@settings(deadline=None)
@given(tables, signatures.filter(bool))
def test_any_values_fit_the_signature_or_are_refused_as_invalid_input(
    table: dict[str, Any], signature: Signature
) -> None:
    try:
        data = fitted(signature, {"inputs": table})
    except InvalidInput:
        return
    assert data is not None
