"""The expected types were compared with those that MLflow 3.17 infers from the same data."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratoon.errors import InvalidInput
from ratoon.models.inference import infer_schema
from ratoon.models.schema import ColSpec, TensorSpec


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([True, False]), "boolean"),
        (np.array([1, 2], "int8"), "integer"),
        (np.array([1, 2], "uint16"), "integer"),
        (np.array([1, 2], "int32"), "integer"),
        (np.array([1, 2], "uint32"), "long"),
        (np.array([1, 2], "int64"), "long"),
        (np.array([1, 2], "float16"), "float"),
        (np.array([1, 2], "float32"), "float"),
        (np.array([1.0, 2.0]), "double"),
        (["a", "b"], "string"),
        (pd.Series(["a", "b"], dtype=object), "string"),
        (pd.Categorical(["a", "b"]), "string"),
        (pd.Categorical([1, 2]), "long"),
        ([b"a", b"b"], "binary"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "datetime"),
        (pd.to_datetime(["2020-01-01"]).tz_localize("UTC"), "datetime"),
        (pd.Series([date(2020, 1, 1)]), "datetime"),
        (pd.Series([1, 2.5], dtype=object), "double"),
        (pd.Series([True], dtype=object), "boolean"),
    ],
)
def test_columns_have_mlflows_types(values: Any, kind: str) -> None:
    assert infer_schema(pd.DataFrame({"a": values})) == (ColSpec(type=kind, name="a"),)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.0, np.nan], "double"),
        (["a", None], "string"),
        (pd.array([1, None], dtype="Int64"), "long"),
        (pd.to_datetime(["2020-01-01", None]), "datetime"),
        (pd.Series([None, None], dtype=object), "any"),
    ],
)
def test_a_column_with_missing_values_is_optional(values: Any, kind: str) -> None:
    assert infer_schema(pd.DataFrame({"a": values})) == (ColSpec(type=kind, name="a", required=False),)


def test_a_default_header_gives_numbers_for_names() -> None:
    schema = infer_schema(pd.DataFrame(np.ones((2, 2))))
    assert [spec.name for spec in schema] == [0, 1] and type(schema[0].name) is int


def test_a_series_is_one_column() -> None:
    assert infer_schema(pd.Series([1, 2], name="n")) == (ColSpec(type="long", name="n"),)
    assert infer_schema(pd.Series(["a", None])) == (ColSpec(type="string"),)


def test_arrays_are_tensors_of_any_number_of_rows() -> None:
    assert infer_schema(np.ones((3, 2), "float32")) == (TensorSpec(dtype="float32", shape=(-1, 2)),)
    assert infer_schema(np.array(["ab"])) == (TensorSpec(dtype="str", shape=(-1,)),)
    assert infer_schema(np.array([b"ab"])) == (TensorSpec(dtype="bytes", shape=(-1,)),)
    assert infer_schema({"x": np.ones((2, 2)), "y": np.array([1])}) == (
        TensorSpec(dtype="float64", shape=(-1, 2), name="x"),
        TensorSpec(dtype="int64", shape=(-1,), name="y"),
    )


def test_records_keep_integers_beside_gaps() -> None:
    records = [{"a": 1, "b": 2.0, "c": "x", "d": True}, {"a": None, "b": None, "c": "y", "d": False}]
    assert infer_schema(records) == (
        ColSpec(type="long", name="a", required=False),
        ColSpec(type="double", name="b", required=False),
        ColSpec(type="string", name="c"),
        ColSpec(type="boolean", name="d"),
    )


def test_a_key_that_some_records_lack_is_optional() -> None:
    assert infer_schema([{"a": 1}, {"a": 2, "z": "q"}])[1] == ColSpec(type="string", name="z", required=False)


def test_a_dict_with_a_value_that_no_type_stands_for_is_refused() -> None:
    with pytest.raises(InvalidInput, match="column 'odd' has values of a type .* .a value of type 'object'."):
        infer_schema({"a": 1, "odd": object()})


def test_whole_numbers_beside_fractions_are_doubles_in_lists_too() -> None:
    assert infer_schema({"a": [[1], [2.5]]}) == (
        ColSpec(type="array", name="a", details={"items": {"type": "double"}}),
    )


@pytest.mark.parametrize("values", [[np.int8(1)], [np.int32(1), 2], [np.float16(1), np.int64(2)], [pd.Timestamp(0)]])
def test_values_of_numpy_and_pandas_within_lists_have_types(values: list[Any]) -> None:
    kinds = {1: "integer", 2: "long"} if isinstance(values[0], np.integer) else {1: "datetime", 2: "double"}
    items = {"type": kinds[len(values)]}
    assert infer_schema({"a": [values]})[0] == ColSpec(type="array", name="a", details={"items": items})


def test_a_dict_of_lists_is_a_table_and_a_list_a_column() -> None:
    assert infer_schema({"a": [1, 2], "b": ["x", "y"]}) == (
        ColSpec(type="long", name="a"),
        ColSpec(type="string", name="b"),
    )
    assert infer_schema(["a", "b"]) == (ColSpec(type="string"),)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1], "uint64"),
        [1 + 2j],
        pd.to_timedelta(["1s"]),
        ["a", 1],
        [[1], ["a"]],
        [{1: "a"}],
        [{"a": object()}],
        pd.Series([2**63], dtype=object),
        [[2**63]],
        pd.period_range("2020", periods=1),
    ],
)
def test_a_column_that_no_type_stands_for_is_named(values: Any) -> None:
    with pytest.raises(InvalidInput, match="column 'odd' has values of a type .* give the signature itself"):
        infer_schema(pd.DataFrame({"odd": values}))


@pytest.mark.parametrize("data", [[], {}, (), 1j, object()])
def test_data_without_columns_is_refused(data: Any) -> None:
    with pytest.raises(InvalidInput, match="has no columns to describe; give a DataFrame"):
        infer_schema(data)


@pytest.mark.parametrize("array", [np.array(3), np.zeros(2, dtype=[("a", "f8")])])
def test_arrays_without_rows_or_with_fields_are_refused(array: Any) -> None:
    with pytest.raises(InvalidInput, match="no axis or named fields"):
        infer_schema(array)


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="column 'a' is given twice"):
        infer_schema(pd.DataFrame([[1, 2]], columns=["a", "a"]))
