from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch

from ratoon.errors import InvalidInput
from ratoon.models.signature import infer_signature

DAY, MOMENT = date(2020, 1, 1), datetime(2020, 1, 1, 10, 30)
# name -> values, type of the column, its dtype after the signature was enforced
COLUMNS: dict[str, tuple[list[Any], str, str]] = {
    "truth": ([True, False], "boolean", "bool"),
    "truth_gap": ([True, None], "boolean", "boolean"),
    "whole": ([1, 2], "long", "int64"),
    "whole_gap": ([2**60 + 1, None], "long", "Int64"),
    "fraction": ([1.5, 2.5], "double", "float64"),
    "fraction_gap": ([1.5, None], "double", "float64"),
    "text": (["a", "b"], "string", "str"),
    "text_gap": (["a", None], "string", "str"),
    "bytes": ([b"a", None], "binary", "object"),
    "day": ([DAY, None], "datetime", "datetime64"),
    "moment": ([MOMENT, None], "datetime", "datetime64"),
    "decimal": ([Decimal("1.25"), None], "double", "float64"),
    "list": ([[1, 2], [3]], "array", "object"),
    "struct": ([{"k": 1}, {"k": 2}], "object", "object"),
    "nothing": ([None, None], "any", "object"),
}


def same(given: Any, expected: Any) -> bool:
    if expected is None:
        return bool(pd.isna(given))
    if isinstance(expected, Decimal):
        return bool(given == float(expected))
    if isinstance(expected, date):
        return bool(pd.Timestamp(given) == pd.Timestamp(expected))
    return list(given) == expected if isinstance(expected, list) else bool(given == expected)


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table, lambda data: pa.table(data).to_batches()[0]])
def test_tables_are_described_and_converted(make: Any) -> None:
    table = make({name: values for name, (values, _, _) in COLUMNS.items()})
    signature = infer_signature(table)
    assert {spec.name: spec.type for spec in signature.inputs or ()} == {n: kind for n, (_, kind, _) in COLUMNS.items()}
    assert {spec.name: spec.required for spec in signature.inputs or ()} == {
        name: None not in values for name, (values, _, _) in COLUMNS.items()
    }
    frame = signature.enforce(table)
    for name, (values, _, dtype) in COLUMNS.items():
        assert str(frame[name].dtype).startswith(dtype)
        assert all(map(same, frame[name], values))


@pytest.mark.parametrize(
    ("dtype", "kind", "result"),
    [
        (pl.Int8, "integer", "int32"),
        (pl.UInt8, "integer", "int32"),
        (pl.UInt32, "long", "int64"),
        (pl.Float32, "float", "float32"),
        (pl.Decimal(10, 0), "double", "float64"),
    ],
)
def test_narrow_columns_are_widened(dtype: Any, kind: str, result: str) -> None:
    for data in (pl.DataFrame({"a": pl.Series([1, 2], dtype=dtype)}), pl.DataFrame({"a": [1, 2]}, {"a": dtype})):
        for table in (data, data.to_arrow()):
            signature = infer_signature(table)
            assert signature.inputs is not None and signature.inputs[0].to_plain()["type"] == kind
            column = signature.enforce(table)["a"]
            assert (str(column.dtype), column.tolist()) == (result, [1, 2])


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("a", ["x", None, "y"], dtype=pl.Categorical),
        pl.Series("a", ["x", None, "y"], dtype=pl.Enum(["y", "x"])),
        pa.array(["x", None, "y"]).dictionary_encode(),
    ],
)
def test_categories_stay_categories(column: Any) -> None:
    table = pl.DataFrame([column]) if isinstance(column, pl.Series) else pa.table({"a": column})
    signature = infer_signature(table)
    assert signature.to_mlflow()["inputs"] == '[{"type": "string", "name": "a", "required": false}]'
    enforced = signature.enforce(table)["a"]
    assert str(enforced.dtype) == "category" and enforced[enforced.notna()].tolist() == ["x", "y"]


def test_a_dictionary_of_numbers_is_numbers() -> None:
    table = pa.table({"a": pa.array([2**60 + 1, None]).dictionary_encode()})
    column = infer_signature(table).enforce(table)["a"]
    assert str(column.dtype) == "Int64" and column[0] == 2**60 + 1


def test_moments_keep_their_time_zone() -> None:
    series = pl.Series("a", [MOMENT, None]).dt.replace_time_zone("Europe/Berlin")
    for table in (pl.DataFrame([series]), pl.DataFrame([series]).to_arrow()):
        column = infer_signature(table).enforce(table)["a"]
        assert column[0] == pd.Timestamp(MOMENT, tz="Europe/Berlin") and str(column.dtype.tz) == "Europe/Berlin"


def test_columns_and_arrays_alone_are_one_column() -> None:
    for column in (pl.Series("n", [1, 2]), pd.Series([1, 2], name="n")):
        assert infer_signature(column).to_mlflow()["inputs"] == '[{"type": "long", "name": "n", "required": true}]'
    for column in (pl.Series([1, 2]), pa.array([1, 2]), pa.chunked_array([[1], [2]])):
        signature = infer_signature(column)
        assert signature.to_mlflow()["inputs"] == '[{"type": "long", "required": true}]'
        assert signature.enforce(column)[0].tolist() == [1, 2]


def test_columns_in_a_dict_are_a_table() -> None:
    signature = infer_signature({"a": pl.Series([1, 2]), "b": ["x", "y"]})
    for data in ({"a": pa.array([3, 4]), "b": ["x", "y"]}, {"a": pd.Series([3, 4]), "b": pl.Series(["x", "y"])}):
        assert signature.enforce(data).to_dict("list") == {"a": [3, 4], "b": ["x", "y"]}


def test_what_was_trained_with_pandas_is_asked_with_tables_of_others() -> None:
    signature = infer_signature(pd.DataFrame({"a": [1.5], "b": ["x"]}))
    for table in (pl.DataFrame({"b": ["y"], "c": [0], "a": [2]}), pa.table({"b": ["y"], "c": [0], "a": [2]})):
        frame = signature.enforce(table)
        assert frame.to_dict("list") == {"a": [2.0], "b": ["y"]} and frame["a"].dtype == "float64"
        with pytest.raises(InvalidInput, match="column 'a' .*expected double, given string"):
            signature.enforce(
                table.drop(["a"]).with_columns(a=pl.lit("z"))
                if isinstance(table, pl.DataFrame)
                else pa.table({"a": ["z"], "b": ["y"]})
            )


def test_labels_of_rows_that_pandas_stored_are_no_column() -> None:
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1]}, index=["row"]))
    assert table.column_names == ["a", "__index_level_0__"]
    assert [spec.name for spec in infer_signature(table).inputs or ()] == ["a"]


def test_columns_of_arrow_types_in_pandas_are_plain_afterwards() -> None:
    table = pa.table({name: values for name, (values, _, _) in COLUMNS.items()})
    frame = table.to_pandas(types_mapper=pd.ArrowDtype).set_axis(["x", "y"])
    signature = infer_signature(frame)
    assert signature == infer_signature(table)
    enforced = signature.enforce(frame)
    pd.testing.assert_frame_equal(enforced, signature.enforce(table).set_axis(["x", "y"]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pl.LazyFrame({"a": [1]}), "'LazyFrame' has no values yet .*give data.collect"),
        (pl.DataFrame({"a": [timedelta(1)]}), "column 'a' has values of a type that signatures cannot describe"),
        (pa.table({"a": [time(1)]}), "column 'a' has values of a type that signatures cannot describe"),
        (pl.DataFrame({"a": pl.Series([object()], dtype=pl.Object)}), "column 'a' has values of a type"),
        (pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), "column 'a' is given twice"),
        (torch.ones(2, dtype=torch.bfloat16), "tensor of type 'torch.bfloat16' cannot be described .*32-bit floats"),
    ],
)
def test_what_no_type_stands_for_is_refused(data: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        infer_signature(data)


def test_tensors_of_other_libraries_are_arrays() -> None:
    data = torch.ones(2, 3, requires_grad=True)
    signature = infer_signature(data)
    assert signature == infer_signature(data.detach().numpy())
    assert signature.enforce(data).tolist() == [[1.0] * 3] * 2
    assert infer_signature({"x": data, "y": np.ones(2)}).takes_tensors


def test_a_sparse_matrix_stays_sparse() -> None:
    matrix = scipy.sparse.csr_matrix(np.eye(3, dtype="float32"))
    signature = infer_signature(scipy.sparse.csr_matrix(np.eye(3)))
    assert signature.enforce(matrix).dtype == np.float64 and scipy.sparse.issparse(signature.enforce(matrix))
    with pytest.raises(InvalidInput, match="wrong shape"):
        signature.enforce(matrix[:, :2])


def test_a_table_gives_arrays_where_the_model_takes_them_by_name() -> None:
    signature = infer_signature({"x": np.ones((2, 3)), "y": np.ones(2)})
    for table in (pl.DataFrame, pa.table, pd.DataFrame):
        arrays = signature.enforce(table({"x": [[1.0, 2.0, 3.0]], "y": [4.0]}))
        assert arrays["x"].tolist() == [[1.0, 2.0, 3.0]] and arrays["y"].tolist() == [4.0]


def test_no_library_of_tables_is_imported() -> None:
    code = (
        "import sys, pandas as pd; from ratoon.models.signature import infer_signature as infer\n"
        "before = set(sys.modules); infer([{'a': 1, 'b': [1]}]).enforce([{'a': 2, 'b': [2]}])\n"
        "assert not {'polars', 'torch', 'scipy', 'tensorflow'} & set(sys.modules), sys.modules.keys() - before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
