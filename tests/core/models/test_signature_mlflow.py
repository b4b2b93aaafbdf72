"""Signatures are those of MLflow to the letter.

The texts were printed by MLflow 3.17.2 with pandas 3.1 and numpy 2.4:
``mlflow.models.infer_signature(data).to_dict()["inputs"]`` for data, ``infer_signature([1], params={name: value})``
for parameters, ``mlflow.types.type_hints._infer_schema_from_list_type_hint(hint).to_json()`` for type hints, and
``mlflow.types.Schema([...]).to_json()`` for the rest.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from ratoon.models.schema import ColSpec
from ratoon.models.signature import Signature, infer_signature

DATA: list[tuple[Any, str]] = [
    (
        [{"a": 1, "b": "x"}],
        '[{"type": "long", "name": "a", "required": true}, {"type": "string", "name": "b", "required": true}]',
    ),
    (
        [
            {"text": "s", "ids": ["i"], "d": {"k": "v"}},
            {"text": "t", "ids": ["i", "j"], "d": {"k": "v", "k2": "w"}},
        ],
        '[{"type": "string", "name": "text", "required": true}, '
        '{"type": "array", "items": {"type": "string"}, "name": "ids", "required": true}, '
        '{"type": "object", "properties": {"k": {"type": "string", "required": true}, '
        '"k2": {"type": "string", "required": false}}, "name": "d", "required": true}]',
    ),
    (
        pd.DataFrame({"a": [[1, 2], [3]]}),
        '[{"type": "array", "items": {"type": "long"}, "name": "a", "required": true}]',
    ),
    (
        pd.DataFrame({"a": [{"x": 1.5, "y": "q"}, {"x": 2.5}]}),
        '[{"type": "object", "properties": {"x": {"type": "double", "required": true}, '
        '"y": {"type": "string", "required": false}}, "name": "a", "required": true}]',
    ),
    (
        pd.DataFrame({"a": [np.array([1.0, 2.0]), np.array([3.0])]}),
        '[{"type": "array", "items": {"type": "double"}, "name": "a", "required": true}]',
    ),
    (
        {"a": 1, "b": 2.5, "c": "x", "d": True, "e": None, "f": b"x"},
        '[{"type": "long", "name": "a", "required": true}, {"type": "double", "name": "b", "required": true}, '
        '{"type": "string", "name": "c", "required": true}, {"type": "boolean", "name": "d", "required": true}, '
        '{"type": "any", "name": "e", "required": false}, {"type": "binary", "name": "f", "required": true}]',
    ),
    (
        {"a": "x", "ids": [1, 2], "o": {"z": 1, "y": [True]}},
        '[{"type": "string", "name": "a", "required": true}, '
        '{"type": "array", "items": {"type": "long"}, "name": "ids", "required": true}, '
        '{"type": "object", "properties": {"y": {"type": "array", "items": {"type": "boolean"}, "required": true}, '
        '"z": {"type": "long", "required": true}}, "name": "o", "required": true}]',
    ),
    (
        {"a": {}, "b": 1},
        '[{"type": "any", "name": "a", "required": true}, {"type": "long", "name": "b", "required": true}]',
    ),
    (["a", "b"], '[{"type": "string", "required": true}]'),
    ([1, 2], '[{"type": "long", "required": true}]'),
    (["a", None], '[{"type": "string", "required": true}]'),
    ([[1, 2], [3]], '[{"type": "array", "items": {"type": "long"}, "required": true}]'),
    ("abc", '[{"type": "string", "required": true}]'),
    (3, '[{"type": "long", "required": true}]'),
    (2.5, '[{"type": "double", "required": true}]'),
    (True, '[{"type": "boolean", "required": true}]'),
    (b"x", '[{"type": "binary", "required": true}]'),
    (date(2020, 1, 1), '[{"type": "datetime", "required": true}]'),
    (datetime(2020, 1, 1), '[{"type": "datetime", "required": true}]'),
    (np.int32(3), '[{"type": "integer", "required": true}]'),
    (np.float32(3), '[{"type": "float", "required": true}]'),
    (
        [{"a": None, "b": 1}, {"a": "x", "b": 2}],
        '[{"type": "string", "name": "a", "required": false}, {"type": "long", "name": "b", "required": true}]',
    ),
    ([{"a": []}, {"a": ["x"]}], '[{"type": "array", "items": {"type": "string"}, "name": "a", "required": true}]'),
    (
        [{"a": {"k": 1}}, {"a": None}],
        '[{"type": "object", "properties": {"k": {"type": "long", "required": false}}, "name": "a", '
        '"required": false}]',
    ),
    (
        [{"m": [{"role": "u", "parts": [{"t": "x"}]}, {"role": "a", "n": 1, "parts": []}]}],
        '[{"type": "array", "items": {"type": "object", "properties": {"n": {"type": "long", "required": false}, '
        '"parts": {"type": "array", "items": {"type": "object", "properties": '
        '{"t": {"type": "string", "required": true}}}, "required": false}, '
        '"role": {"type": "string", "required": true}}}, "name": "m", "required": true}]',
    ),
    (
        np.zeros((2, 3, 4, 5), "float32"),
        '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3, 4, 5]}}]',
    ),
    (
        {"x": np.zeros((2, 3)), "y": np.array(["a", "b"])},
        '[{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}, '
        '{"name": "y", "type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}]',
    ),
    (np.array([True]), '[{"type": "tensor", "tensor-spec": {"dtype": "bool", "shape": [-1]}}]'),
    (
        np.array(["2020-01-01"], "M8[ns]"),
        '[{"type": "tensor", "tensor-spec": {"dtype": "datetime64[ns]", "shape": [-1]}}]',
    ),
    (
        np.array(["a", None], dtype=object),
        '[{"type": "tensor", "tensor-spec": {"dtype": "object", "shape": [-1]}}]',
    ),
    (np.zeros(1, complex), '[{"type": "tensor", "tensor-spec": {"dtype": "complex128", "shape": [-1]}}]'),
    (
        scipy.sparse.csr_matrix(np.eye(3)),
        '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3]}}]',
    ),
    (
        pd.DataFrame(
            {
                "i": pd.array([1, None], dtype="Int64"),
                "b": pd.array([True, None], dtype="boolean"),
                "f": pd.array([1.5, None], dtype="Float32"),
                "s": pd.array(["a", None], dtype="string"),
                "u": pd.array([1, 2], dtype="UInt8"),
            }
        ),
        '[{"type": "long", "name": "i", "required": false}, {"type": "boolean", "name": "b", "required": false}, '
        '{"type": "float", "name": "f", "required": false}, {"type": "string", "name": "s", "required": false}, '
        '{"type": "integer", "name": "u", "required": true}]',
    ),
    (
        pd.DataFrame({"c": pd.Categorical(["a", "b"]), "n": pd.Categorical([1, 2])}),
        '[{"type": "string", "name": "c", "required": true}, {"type": "long", "name": "n", "required": true}]',
    ),
    (
        pd.DataFrame(
            {
                "n": pd.to_datetime(["2020-01-01"]),
                "z": pd.to_datetime(["2020-01-01"]).tz_localize("Europe/Berlin"),
                "d": [date(2020, 1, 1)],
            }
        ),
        '[{"type": "datetime", "name": "n", "required": true}, {"type": "datetime", "name": "z", "required": true}, '
        '{"type": "datetime", "name": "d", "required": true}]',
    ),
    (
        pd.DataFrame(np.ones((1, 2))),
        '[{"type": "double", "name": 0, "required": true}, {"type": "double", "name": 1, "required": true}]',
    ),
    (pd.Series([1, 2], name="n"), '[{"type": "long", "name": "n", "required": true}]'),
]

PARAMS: list[tuple[str, Any, str]] = [
    ("s", 0.5, '[{"name": "s", "default": 0.5, "shape": null, "type": "double"}]'),
    ("i", 1, '[{"name": "i", "default": 1, "shape": null, "type": "long"}]'),
    ("b", True, '[{"name": "b", "default": true, "shape": null, "type": "boolean"}]'),
    ("t", "x", '[{"name": "t", "default": "x", "shape": null, "type": "string"}]'),
    ("l", [1, 2], '[{"name": "l", "default": [1, 2], "shape": [-1], "type": "long"}]'),
    ("f", [0.5, 1], '[{"name": "f", "default": [0.5, 1.0], "shape": [-1], "type": "double"}]'),
    (
        "dt",
        datetime(2020, 1, 1, 10),
        '[{"name": "dt", "default": "2020-01-01T10:00:00", "shape": null, "type": "datetime"}]',
    ),
    ("d", date(2020, 1, 1), '[{"name": "d", "default": "2020-01-01", "shape": null, "type": "datetime"}]'),
    ("ds", [date(2020, 1, 1)], '[{"name": "ds", "default": ["2020-01-01"], "shape": [-1], "type": "datetime"}]'),
    (
        "np64",
        np.datetime64("2020-01-01T10"),
        '[{"name": "np64", "default": "2020-01-01T10:00:00", "shape": null, "type": "datetime"}]',
    ),
    ("n32", np.int32(3), '[{"name": "n32", "default": 3, "shape": null, "type": "integer"}]'),
    ("f32", np.float32(0.1), '[{"name": "f32", "default": 0.10000000149011612, "shape": null, "type": "float"}]'),
    ("arr", np.array([1, 2]), '[{"name": "arr", "default": [1, 2], "shape": [-1], "type": "long"}]'),
    ("sl", ["a"], '[{"name": "sl", "default": ["a"], "shape": [-1], "type": "string"}]'),
    (
        "o",
        {"a": 1, "b": ["x"]},
        '[{"name": "o", "default": {"a": 1, "b": ["x"]}, "shape": null, "type": "object", "properties": '
        '{"a": {"type": "long", "required": true}, '
        '"b": {"type": "array", "items": {"type": "string"}, "required": true}}}]',
    ),
    (
        "ol",
        {"k": {"z": 1.5}},
        '[{"name": "ol", "default": {"k": {"z": 1.5}}, "shape": null, "type": "object", "properties": '
        '{"k": {"type": "object", "properties": {"z": {"type": "double", "required": true}}, "required": true}}}]',
    ),
]

# list[str], list[dict[str, str]], list[list[float]], list[Any], a list of a class of pydantic; then schemas by hand.
WRITTEN = [
    '[{"type": "string", "required": true}]',
    '[{"type": "map", "values": {"type": "string"}, "required": true}]',
    '[{"type": "array", "items": {"type": "double"}, "required": true}]',
    '[{"type": "any", "required": true}]',
    '[{"type": "object", "properties": {"a": {"type": "string", "required": true}, '
    '"b": {"type": "long", "required": false}, '
    '"m": {"type": "map", "values": {"type": "double"}, "required": true}}, "required": true}]',
    '[{"type": "map", "values": {"type": "array", "items": {"type": "string"}}, "name": "m", "required": true}, '
    '{"type": "any", "name": "x", "required": false}, {"type": "sparkml_vector", "name": "v", "required": true}, '
    '{"type": "object", "properties": {"a": {"type": "map", "values": {"type": "any"}, "required": false}, '
    '"b": {"type": "long", "required": true}}, "name": "o", "required": true}]',
]


@pytest.mark.parametrize(("data", "text"), DATA, ids=[text[:60] for _, text in DATA])
def test_data_is_described_as_mlflow_describes_it(data: Any, text: str) -> None:
    assert infer_signature(data).to_mlflow()["inputs"] == text
    assert infer_signature([1], data).to_mlflow()["outputs"] == text


@pytest.mark.parametrize(("name", "value", "text"), PARAMS, ids=[name for name, _, _ in PARAMS])
def test_parameters_are_described_as_mlflow_describes_them(name: str, value: Any, text: str) -> None:
    assert infer_signature([1], params={name: value}).to_mlflow()["params"] == text


@pytest.mark.parametrize("text", [*WRITTEN, *(text for _, text in DATA)])
def test_what_mlflow_wrote_is_written_back(text: str) -> None:
    assert Signature.from_mlflow({"inputs": text}).to_mlflow()["inputs"] == text


@pytest.mark.parametrize("text", [text for _, _, text in PARAMS])
def test_parameters_that_mlflow_wrote_are_written_back(text: str) -> None:
    assert Signature.from_mlflow({"params": text}).to_mlflow()["params"] == text


def test_what_mlflow_gives_up_on_is_described_all_the_same() -> None:
    # MLflow falls back to a single column of any type for a list of whole numbers and fractions.
    (spec,) = infer_signature(pd.DataFrame({"a": [[1, 2.5]]})).inputs or ()
    assert spec == ColSpec(type="array", name="a", details={"items": {"type": "double"}})


def test_a_dict_of_lists_is_a_table_where_mlflow_sees_one_row_of_arrays() -> None:
    assert infer_signature({"a": [1, 2]}).inputs == (ColSpec(type="long", name="a"),)
