from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from ratoon.errors import InvalidInput
from ratoon.models.examples import first_rows, write_example


def written(folder: Path) -> tuple[Any, Any]:
    names = ("input_example.json", "serving_input_example.json")
    example, serving = (json.loads((folder / name).read_text()) for name in names)
    return example, serving


def test_a_frame_is_split_without_its_index(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": [0.1, np.nan], "s": ["x", None], "t": pd.to_datetime(["2020-01-01", None]), "b": [b"hi", b""]},
        index=[7, 8],
    )
    assert write_example(frame, tmp_path) == {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
        "pandas_orient": "split",
    }
    split = {
        "columns": ["a", "s", "t", "b"],
        "data": [[0.1, "x", "2020-01-01T00:00:00", "aGk="], [None, None, None, ""]],
    }
    assert written(tmp_path) == (split, {"dataframe_split": split})


def test_a_default_header_is_left_out(tmp_path: Path) -> None:
    info = write_example(pd.DataFrame(np.eye(2)), tmp_path)
    assert info["pandas_orient"] == "values"
    assert written(tmp_path)[0] == {"data": [[1.0, 0.0], [0.0, 1.0]]}


@pytest.mark.parametrize(
    ("data", "kind", "plain"),
    [
        (np.array([[1, 2]]), "ndarray", [[1, 2]]),
        ({"x": np.array([1.5])}, "ndarray", {"x": [1.5]}),
        ([{"a": 1, "b": np.float64(2.5)}], "json_object", [{"a": 1, "b": 2.5}]),
        ({"a": [1]}, "json_object", {"a": [1]}),
    ],
)
def test_everything_else_is_an_input(tmp_path: Path, data: Any, kind: str, plain: Any) -> None:
    assert write_example(data, tmp_path)["type"] == kind
    assert written(tmp_path) == (plain, {"inputs": plain})


def test_a_series_is_a_table_of_one_column(tmp_path: Path) -> None:
    write_example(pd.Series([1], name="n"), tmp_path)
    assert written(tmp_path)[0] == {"columns": ["n"], "data": [[1]]}


def test_a_value_without_a_json_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a value of type 'object' has no JSON form"):
        write_example([{"a": object()}], tmp_path)


@pytest.mark.parametrize(
    "data",
    [pd.DataFrame({"a": range(9)}), pd.Series(range(9)), np.arange(9), list(range(9))],
)
def test_five_rows_are_kept(data: Any) -> None:
    assert len(first_rows(data)) == 5
    assert {name: len(rows) for name, rows in first_rows({"x": list(range(9))}).items()} == {"x": 5}


@pytest.mark.parametrize("data", [3, "text", {"a": 1, "b": list(range(9))}, np.float64(2.5), date(2020, 1, 1)])
def test_a_single_row_or_value_is_kept_whole(data: Any) -> None:
    assert first_rows(data) is data or first_rows(data) == data


def test_data_of_other_libraries_becomes_that_of_pandas_and_numpy() -> None:
    values = list(range(9))
    for data in (pl.DataFrame({"a": values}), pa.table({"a": values}), pa.record_batch({"a": values})):
        pd.testing.assert_frame_equal(first_rows(data), pd.DataFrame({"a": values[:5]}))
    assert first_rows({"x": pl.Series(values), "y": np.arange(9)})["x"] == values[:5]
    assert first_rows(scipy.sparse.csr_matrix(np.eye(9))).tolist() == np.eye(9)[:5].tolist()


@pytest.mark.parametrize(
    ("data", "plain", "serving"),
    [
        ("text", "text", ["text"]),
        (date(2020, 1, 1), "2020-01-01", ["2020-01-01"]),
        (np.float64(2.5), 2.5, [2.5]),
        ({"a": 1, "ids": ["x"]}, {"a": 1, "ids": ["x"]}, {"a": 1, "ids": ["x"]}),
        ([Decimal("1.5")], [1.5], [1.5]),
    ],
)
def test_a_single_value_is_served_in_a_list(tmp_path: Path, data: Any, plain: Any, serving: Any) -> None:
    assert write_example(data, tmp_path)["type"] == "json_object"
    assert written(tmp_path) == (plain, {"inputs": serving})


@pytest.mark.parametrize("data", [object(), None, {}, np.array(3)])
def test_data_without_rows_is_refused(data: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be used; give a DataFrame"):
        first_rows(data)
