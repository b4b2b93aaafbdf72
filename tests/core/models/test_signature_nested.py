"""Values that are made of values: MLflow's arrays, objects and maps, and columns of any type."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratoon.errors import InvalidInput
from ratoon.models.casting import cast_column
from ratoon.models.schema import ColSpec
from ratoon.models.signature import Signature, infer_signature
from ratoon.models.value_types import Unlike, common_type, merge

MESSAGES = [{"chat": [{"role": "user", "tokens": 3}, {"role": "bot"}], "weight": 0.5}]


def column(values: list[Any], kind: dict[str, Any], *, required: bool = True) -> pd.Series:
    details = {key: value for key, value in kind.items() if key != "type"}
    spec = ColSpec(type=kind["type"], name="c", required=required, details=details)
    return cast_column(pd.Series(values, dtype=object), "c", spec, literal=False)


def array(items: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": items}}


def test_what_fits_is_handed_on() -> None:
    signature = infer_signature(MESSAGES)
    frame = signature.enforce(MESSAGES)
    assert frame["chat"][0] is MESSAGES[0]["chat"]
    assert signature.enforce(frame) is frame


def test_numbers_within_are_widened() -> None:
    assert column([[1, 2.5]], array("double")).tolist() == [[1.0, 2.5]]
    result = column([np.array([1, 2])], array("double"))[0]
    assert isinstance(result, np.ndarray) and result.dtype == np.float64
    given = np.array([1.0])
    assert column([given], array("double"))[0] is given
    assert column([{"k": 1}], {"type": "map", "values": {"type": "float"}})[0] == {"k": 1.0}


def test_datetimes_within_may_be_texts() -> None:
    values = [["2020-01-01", "2020-01-01T10:00:00", date(2020, 1, 1)]]
    assert column(values, array("datetime"))[0] == [date(2020, 1, 1), datetime(2020, 1, 1, 10), date(2020, 1, 1)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([["a", None]], array("string")),
        ([[1, None, float("nan")]], array("long")),
        ([(1, 2)], array("integer")),
        ([[True, np.bool_(False)]], array("boolean")),
        ([[b"x", bytearray(b"y")]], array("binary")),
        ([[object()]], array("any")),
        ([{"a": None}], {"type": "object", "properties": {"a": {"type": "long", "required": False}}}),
        ([{}], {"type": "object", "properties": {"a": {"type": "long", "required": False}}}),
        ([[1.0, 2.0]], {"type": "sparkml_vector"}),
        ([3], {"type": "any"}),
        ([[1]], {"type": "array"}),
    ],
)
def test_what_a_type_stands_for_stays_the_same(values: list[Any], kind: dict[str, Any]) -> None:
    assert column(values, kind)[0] is values[0]


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ("secret", array("string"), "(expected array, given string)"),
        (["secret"], array("long"), " at 'c[]' (expected long, given string)"),
        ([1], array("string"), " at 'c[]' (expected string, given long)"),
        ([1.5], array("long"), " at 'c[]' (expected long, given double)"),
        ([2**31], array("integer"), " at 'c[]' (expected integer, given long)"),
        ([2**63], array("long"), " at 'c[]' (expected long, given an integer of more than 64 bits)"),
        ([2**53 + 1], array("double"), " at 'c[]' (expected double, given long)"),
        ([True], array("long"), " at 'c[]' (expected long, given boolean)"),
        ([1], array("boolean"), " at 'c[]' (expected boolean, given long)"),
        (["secret"], array("datetime"), " at 'c[]' (expected datetime, given string)"),
        ([b"secret"], array("string"), " at 'c[]' (expected string, given binary)"),
        (["secret"], array("binary"), " at 'c[]' (expected binary, given string)"),
        ([{"a": 1}], array("long"), " at 'c[]' (expected long, given object)"),
        ([[1]], array("long"), " at 'c[]' (expected long, given array)"),
        ([1], {"type": "map", "values": {"type": "long"}}, "(expected map, given array)"),
        ({1: 1}, {"type": "map", "values": {"type": "long"}}, "(expected map, given keys that are no strings)"),
        ({"k": "secret"}, {"type": "map", "values": {"type": "long"}}, " at 'c{}' (expected long, given string)"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(value: Any, kind: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        column([value], kind)
    text = str(caught.value)
    assert text.startswith("column 'c' of the model's input has the wrong type") and words in text
    assert "secret" not in text and caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("text", " (expected object, given string)"),
        ({}, " at 'c.a' (expected long, given nothing)"),
        ({"a": None}, " at 'c.a' (expected long, given nothing)"),
        ({"a": 1, "z": 2}, " at 'c.z' (expected no such property, given long)"),
        ({"a": 1, "b": [{"k": 1}]}, " at 'c.b[].k' (expected string, given long)"),
    ],
)
def test_properties_are_checked(value: Any, words: str) -> None:
    inner = {"type": "object", "properties": {"k": {"type": "string", "required": True}}}
    properties = {"a": {"type": "long", "required": True}, "b": {"type": "array", "items": inner, "required": False}}
    with pytest.raises(InvalidInput) as caught:
        column([value], {"type": "object", "properties": properties})
    assert words in str(caught.value)


def test_gaps_in_a_required_column_are_refused() -> None:
    with pytest.raises(InvalidInput, match="column 'c' .* has missing values .the signature says"):
        column([["a"], None], array("string"))
    assert column([["a"], None], array("string"), required=False).tolist() == [["a"], None]


@pytest.mark.parametrize(
    ("text", "data", "values"),
    [
        ('[{"type": "string", "required": true}]', ["a", "b"], ["a", "b"]),
        ('[{"type": "string", "required": true}]', "a", ["a"]),
        ('[{"type": "long", "required": true}]', [1, 2], [1, 2]),
        ('[{"type": "double", "required": true}]', 3, [3.0]),
        ('[{"type": "double", "required": true}]', np.float64(3), [3.0]),
        ('[{"type": "datetime", "required": true}]', date(2020, 1, 1), [pd.Timestamp(2020, 1, 1)]),
        ('[{"type": "array", "items": {"type": "double"}, "required": true}]', [[1, 2.5], [3]], [[1.0, 2.5], [3.0]]),
        ('[{"type": "array", "items": {"type": "long"}, "required": true}]', np.array([[1, 2]]), [[1, 2]]),
        ('[{"type": "map", "values": {"type": "string"}, "required": true}]', [{"k": "v"}], [{"k": "v"}]),
        ('[{"type": "map", "values": {"type": "string"}, "required": true}]', {"k": "v"}, [{"k": "v"}]),
        ('[{"type": "any", "required": true}]', [1, "a"], [1, "a"]),
        ('[{"type": "long", "name": "n", "required": true}]', [1, 2], [1, 2]),
    ],
)
def test_the_values_of_the_only_column_need_no_name(text: str, data: Any, values: list[Any]) -> None:
    frame = Signature.from_mlflow({"inputs": text}).enforce(data)
    assert len(frame.columns) == 1
    assert [list(value) if isinstance(value, np.ndarray) else value for value in frame.iloc[:, 0]] == values


@pytest.mark.parametrize("data", ["a", 3, [[1, 2]], None, [], object()])
def test_a_value_alone_is_no_column_with_a_name(data: Any) -> None:
    with pytest.raises(InvalidInput):
        infer_signature({"n": [1]}).enforce(data)


def test_a_dict_of_values_is_one_row() -> None:
    row = {"a": 1, "ids": ["x", "y"], "o": {"k": 1.5}}
    signature = infer_signature(row)
    for data in (row, [row], {**row, "a": [1]}, pd.DataFrame([row])):
        assert signature.enforce(data).to_dict("records") == [row]
    rows = {"a": [1, 2], "ids": [["x"], ["y"]], "o": [{"k": 1.5}, {"k": 2.5}]}
    assert signature.enforce(rows)["ids"].tolist() == rows["ids"]
    assert infer_signature({"ids": [["x"]]}).enforce({"ids": ["x", "y"]})["ids"].tolist() == [["x", "y"]]
    assert infer_signature({"ids": [["x"]]}).enforce({"ids": []}).empty
    with pytest.raises(InvalidInput, match="column 'b' of the model's input is missing"):
        infer_signature({"a": [1], "b": [2]}).enforce({"a": 1})


def test_types_that_have_nothing_in_common_are_told() -> None:
    assert common_type([]) == {"type": "any"}
    assert common_type([np.int32(1), 2]) == {"type": "long"}
    assert common_type([np.array(5), np.array([], dtype=float)][:1]) == {"type": "long"}
    assert common_type([np.array([["a"]])]) == array("string") | {"items": array("string")}
    assert merge({"type": "map", "values": {"type": "long"}}, {"type": "map", "values": {"type": "long"}})
    with pytest.raises(Unlike, match="string beside long"):
        common_type(["a", 1])
