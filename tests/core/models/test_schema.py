from __future__ import annotations

import pytest

from ratoon.errors import Corrupt
from ratoon.models.schema import (
    COLUMN_TYPES,
    ColSpec,
    ParamSpec,
    TensorSpec,
    params_from_json,
    schema_from_json,
    schema_to_json,
)

NESTED = (
    '[{"type": "array", "items": {"type": "string"}, "name": "arr", "required": false}, '
    '{"type": "object", "properties": {"k": {"type": "string", "required": true}}, "name": "o", "required": true}, '
    '{"type": "any", "name": "x", "required": true}, '
    '{"type": "map", "values": {"type": "long"}, "name": "m", "required": true}]'
)


@pytest.mark.parametrize("kind", COLUMN_TYPES)
def test_columns_are_written_as_mlflow_writes_them(kind: str) -> None:
    text = f'[{{"type": "{kind}", "name": "a", "required": true}}]'
    assert schema_to_json((ColSpec(type=kind, name="a"),)) == text
    assert schema_from_json(text) == (ColSpec(type=kind, name="a"),)


@pytest.mark.parametrize(
    "text",
    [
        '[{"type": "long", "required": true}]',
        '[{"type": "double", "name": 0, "required": true}, {"type": "double", "name": 1, "required": false}]',
        '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 13]}}]',
        '[{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]',
        NESTED,
    ],
)
def test_what_mlflow_wrote_is_written_back_to_the_letter(text: str) -> None:
    assert schema_to_json(schema_from_json(text)) == text


def test_parameters_are_written_back_to_the_letter() -> None:
    text = (
        '[{"name": "t", "default": 0.5, "shape": null, "type": "double"}, '
        '{"name": "l", "default": [1, 2], "shape": [-1], "type": "long"}]'
    )
    params = params_from_json(text)
    assert params is not None and params[1] == ParamSpec(name="l", type="long", default=[1, 2], shape=(-1,))
    assert schema_to_json(params) == text


def test_required_is_the_default_and_dtype_an_older_name() -> None:
    assert schema_from_json('[{"type": "long", "name": "a"}]') == (ColSpec(type="long", name="a"),)
    assert params_from_json('[{"name": "t", "dtype": "long", "default": 1}]') == (
        ParamSpec(name="t", type="long", default=1),
    )


def test_nothing_is_nothing() -> None:
    assert schema_from_json(None) is None and params_from_json("") is None and schema_to_json(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "3",
        "[3]",
        '[{"name": "a"}]',
        '[{"type": 3}]',
        '[{"type": "long", "name": []}]',
        '[{"type": "tensor"}]',
        '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": ["x"]}}]',
        '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": []}}, {"type": "long"}]',
        "[" * 100_000,
    ],
)
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(Corrupt, match="signature of the model cannot be read"):
        schema_from_json(text)


@pytest.mark.parametrize("text", ["{", "[3]", '[{"name": "a"}]'])
def test_what_are_no_parameters_is_refused(text: str) -> None:
    with pytest.raises(Corrupt, match="no list of parameters"):
        params_from_json(text)


def test_tensors_are_always_required() -> None:
    assert TensorSpec(dtype="float64", shape=(-1,)).required
