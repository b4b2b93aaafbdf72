from __future__ import annotations

import datetime as dt
import json
import math
import string
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.errors import InvalidInput
from ratoon.models.schema import ColSpec
from ratoon.models.signature import Signature
from ratoon.serving.bodies import UnreadableBody
from ratoon.serving.codecs import UnsupportedContentType, decode, encode

REQUIRED = "The input must be a JSON dictionary with exactly one of the input fields"
SECRET = "s3cret-4711"


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def decoded(**fields: Any) -> Any:
    return decode(body(**fields)).data


def written(predictions: object) -> Any:
    return json.loads(encode(predictions))["predictions"]


def test_a_split_becomes_a_frame() -> None:
    frame = decoded(dataframe_split={"columns": ["a", "b"], "data": [[1, "x"], [2, None]], "index": ["p", "q"]})
    assert list(frame.columns) == ["a", "b"]
    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].isna().tolist() == [False, True]


def test_a_split_without_names_counts_its_columns() -> None:
    assert list(decoded(dataframe_split={"data": [[1, 2], [3, 4]]}).columns) == [0, 1]


def test_a_split_without_rows_keeps_its_columns() -> None:
    frame = decoded(dataframe_split={"columns": ["a"], "data": []})
    assert frame.shape == (0, 1)


def test_records_become_a_frame_and_what_a_record_lacks_is_missing() -> None:
    frame = decoded(dataframe_records=[{"a": 1.5, "b": "x"}, {"b": "y"}])
    assert frame["b"].tolist() == ["x", "y"]
    assert math.isnan(frame["a"][1])


def test_instances_become_an_array() -> None:
    array = decoded(instances=[[1, 2.5], [3, 4]])
    assert array.dtype == float
    assert array.tolist() == [[1, 2.5], [3, 4]]


def test_instances_of_dictionaries_become_a_dictionary_of_arrays() -> None:
    arrays = decoded(instances=[{"x": [1, 2], "y": 3}, {"x": [4, 5], "y": 6}])
    assert {name: array.tolist() for name, array in arrays.items()} == {"x": [[1, 2], [4, 5]], "y": [3, 6]}


def test_inputs_become_an_array_or_a_dictionary_of_arrays_and_a_scalar_is_one_row() -> None:
    assert decoded(inputs=[1, 2]).tolist() == [1, 2]
    arrays = decoded(inputs={"a": [1, 2], "b": "x"})
    assert {name: array.tolist() for name, array in arrays.items()} == {"a": [1, 2], "b": ["x"]}


def test_numbers_among_strings_stay_numbers() -> None:
    assert decoded(instances=[1, "a"]).tolist() == [1, "a"]
    assert decoded(instances=["a", "b"]).dtype.kind == "U"


def test_params_come_along() -> None:
    assert decode(body(inputs=[1], params={"temperature": 0.5})).params == {"temperature": 0.5}
    assert decode(body(inputs=[1], params=None)).params is None
    assert decode(body(inputs=[1])).params is None


def test_fields_that_belong_to_other_servers_are_left_alone() -> None:
    assert decoded(instances=[1], signature_name="serving_default").tolist() == [1]


def test_python_json_with_nan_is_read() -> None:
    array = decode(b'{"instances": [NaN, -Infinity, 1]}').data
    assert math.isnan(array[0]) and array[1] == -math.inf


def test_a_csv_body_becomes_a_frame() -> None:
    frame = decode(b'\xef\xbb\xbfa,b\r\n1,x\r\n2.5,"y, z"\r\n\r\n', "text/csv; charset=utf-8").data
    assert frame.to_dict("list") == {"a": [1, 2.5], "b": ["x", "y, z"]}


def test_csv_text_stays_what_it_is_and_elsewhere_na_is_missing() -> None:
    named = Signature(inputs=(ColSpec(type="string", name="code"), ColSpec(type="double", name="x")))
    unnamed = Signature(inputs=(ColSpec(type="string"), ColSpec(type="double")))
    for signature in (named, unnamed):
        data = signature.enforce(decode(b"code,x\n007,NA\nNA,1\n,2\n", "text/csv", signature).data)
        code, numbers = (column for _, column in data.items())
        assert code.tolist()[:2] == ["007", "NA"]
        assert code.isna().tolist() == [False, False, True]
        assert numbers.isna().tolist() == [True, False, False]


@pytest.mark.parametrize("content_type", [None, "application/json", 'Application/JSON; Charset="UTF-8"', "text/csv;"])
def test_content_types_that_are_read(content_type: str | None) -> None:
    content = b"a\n1\n" if content_type and content_type.startswith("text") else body(inputs=[1])
    assert len(decode(content, content_type).data) == 1


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/vnd.apache.parquet",
        "application/json; format=pandas-split",
        "text/csv; charset=latin-1",
    ],
)
def test_other_content_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedContentType, match=r"; (send application/json or text/csv|leave out everything but)"):
        decode(body(inputs=[1]), content_type)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", f"{REQUIRED}.*; it has none of them"),
        (b'{"columns": ["a"], "data": [[1]]}', f"{REQUIRED}.*; it has none of them"),
        (body(inputs=[1], instances=[1]), f"{REQUIRED}.*; it has instances and inputs"),
        (b"[1, 2]", rf"Expected `object`, got `array`\). {REQUIRED}"),
        (b"", rf"Input data was truncated\). {REQUIRED}"),
        (b'{"inputs": [1', "Input data was truncated"),
        (b'{"inputs": [NaN', "JSON is malformed"),
        (b"[NaN]", "Expected `object`, got `array`"),
        (b'{"inputs": [1]} x', "trailing characters"),
        (b'{"inputs": ["\xff"]}', "the body is not UTF-8"),
        (b'{"inputs": [NaN, "\xff"]}', "the body is not UTF-8"),
        (b'{"inputs": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"inputs": [NaN, ' + b"[" * 100_000, "nested too deeply"),
        (b'{"inputs": ' + b"[" * 70 + b"]" * 70 + b"}", "The values do not form an array"),
        (body(inputs=3), r"at `\$.inputs`"),
        (body(instances={"a": 1}), r"at `\$.instances`"),
        (body(instances=[[1], [2, 3]]), "The values do not form an array; give rows of one length"),
        (body(inputs={SECRET: [[1], [2, 3]]}), "The values do not form an array"),
        (body(instances=[{"a": 1}, {"b": 1}]), "Entry 1 of instances differs in form"),
        (body(instances=[{"a": 1}, 1]), "Entry 1 of instances differs in form"),
        (body(instances=[1, {"a": 1}]), "Entry 0 of instances differs in form"),
        (body(inputs=[1], params=[1]), r"at `\$.params`"),
        (body(dataframe_records={"a": [1]}), r"at `\$.dataframe_records`"),
        (body(dataframe_records=[1]), r"at `\$.dataframe_records\[0\]`"),
        (body(dataframe_split=[[1]]), r"at `\$.dataframe_split`"),
        (body(dataframe_split={"columns": ["a"]}), "missing required field `data`"),
        (body(dataframe_split={"columns": ["a"], "data": [SECRET]}), r"at `\$.dataframe_split.data\[0\]`"),
        (
            body(dataframe_split={"columns": ["a", "b"], "data": [[1, 2], [SECRET]]}),
            "Row 1 .* has 1 values for 2 columns",
        ),
        (body(dataframe_split={"columns": ["a", "a"], "data": []}), "Positions 0 and 1 of dataframe_split.columns"),
        (body(dataframe_split={"columns": ["0", 0], "data": []}), "Positions 0 and 1 of dataframe_split.columns"),
        (
            body(dataframe_split={"columns": ["a"], "data": [[1]], "index": 1}),
            r"at `\$.dataframe_split.index`",
        ),
    ],
)
def test_malformed_json_is_refused_without_an_echo(content: bytes, message: str) -> None:
    with pytest.raises(UnreadableBody, match=message) as caught:
        decode(content)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "CSV body is empty; begin with a header row"),
        (b"\n\n", "CSV body is empty"),
        (b"\xff\n1\n", "CSV body is not UTF-8"),
        (b"a,b\n1,2\ns3cret-4711\n", "Line 3 of the CSV body has 1 fields for 2 columns"),
        (b"a,b\n1,2,s3cret-4711\n3,4,5\n", "Line 2 of the CSV body has 3 fields for 2 columns"),
        (b"a\n\n1\n", "Line 2 of the CSV body has 0 fields"),
        (b'a,b\n1,"s3cret-4711\n', "Line 2 of the CSV body is malformed; check its quotes"),
        (b"a,a\n1,2\n", "Positions 0 and 1 of the CSV header have one name"),
        (b"a\rb\n1\n", "Line 1 of the CSV body is malformed"),
    ],
)
def test_malformed_csv_is_refused_without_an_echo(content: bytes, message: str) -> None:
    with pytest.raises(UnreadableBody, match=message) as caught:
        decode(content, "text/csv")
    assert SECRET not in str(caught.value)


def test_csv_rows_are_neither_dropped_nor_shifted() -> None:
    frame = decode(b'a,b\n1,"x\ny"\n"",z\n', "text/csv").data
    assert frame["b"].tolist() == ["x\ny", "z"]
    assert len(frame) == 2


names = st.text(string.ascii_letters, min_size=1, max_size=4)


@settings(deadline=None)
@given(
    st.binary(max_size=60) | st.text('a1,"\r\n;NA é', max_size=40).map(str.encode),
    st.sampled_from(["text/csv", "application/json"]),
)
def test_any_bytes_are_read_or_refused_as_invalid_input(content: bytes, content_type: str) -> None:
    try:
        decode(content, content_type)
    except InvalidInput:
        pass


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=3, unique=True), st.data())
def test_all_table_formats_read_the_same_table(columns: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.lists(finite, min_size=len(columns), max_size=len(columns)), min_size=1, max_size=4))
    expected = pd.DataFrame(rows, columns=columns)
    split = decoded(dataframe_split={"columns": columns, "data": rows})
    records = decoded(dataframe_records=[dict(zip(columns, row, strict=True)) for row in rows])
    text = decode(expected.to_csv(index=False).encode(), "text/csv").data.astype(float)
    inputs = decoded(inputs={name: expected[name].tolist() for name in columns})
    for frame in (split, records, text, pd.DataFrame(inputs)):
        pd.testing.assert_frame_equal(frame, expected, check_exact=True)


@settings(deadline=None)
@given(st.lists(st.floats() | st.none(), max_size=5))
def test_numbers_are_written_exactly_and_nan_as_null(numbers: list[float | None]) -> None:
    expected = [None if number is None or not math.isfinite(number) else number for number in numbers]
    array = np.array([math.nan if number is None else number for number in numbers], dtype=float)
    for predictions in (numbers, array, pd.Series(array)):
        assert written(predictions) == expected
    assert written(pd.DataFrame({"y": array})) == [{"y": number} for number in expected]


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (np.array([[1, 2]], dtype=np.int32), [[1, 2]]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([True]), [True]),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        ({"y": np.array([1.0, math.inf]), "n": 2}, {"y": [1.0, None], "n": 2}),
        ((1, {2}), [1, [2]]),
        (np.array(["2026-01-02T03:04:05", "NaT"], dtype="M8[ns]"), ["2026-01-02T03:04:05.000000000", None]),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (np.array([1, "NaT"], dtype="m8[s]"), ["PT1S", None]),
        (dt.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (pd.to_datetime(pd.Series(["2026-01-02", None])), ["2026-01-02T00:00:00", None]),
        (pd.Series([1, None], dtype="Int64"), [1, None]),
        (pd.Categorical(["a", "b"]), ["a", "b"]),
        (pd.Index([1, 2]), [1, 2]),
        (pd.DataFrame({"a": [1], "t": [pd.Timedelta("1D")], "s": [pd.NA]}), [{"a": 1, "t": "P1DT0H0M0S", "s": None}]),
        (pd.DataFrame({0: [1.5]}), [{"0": 1.5}]),
    ],
)
def test_answers_of_every_kind_are_written(predictions: object, expected: object) -> None:
    assert written(predictions) == expected


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (object(), "a prediction of type builtins.object has no form in JSON"),
        ([np.complex64(1)], "complex predictions have no form in JSON"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns of one name"),
    ],
)
def test_answers_that_json_cannot_hold_are_an_error(predictions: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        encode(predictions)
