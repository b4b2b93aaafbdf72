from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratoon.errors import InvalidInput
from ratoon.models.enforcement import enforce_columns
from ratoon.models.parameters import enforce_params
from ratoon.models.schema import ColSpec, ParamSpec, TensorSpec
from ratoon.models.tensors import enforce_tensors

SPECS = (
    ColSpec(type="double", name="a"),
    ColSpec(type="long", name="b"),
    ColSpec(type="string", name="c", required=False),
)
EXPECTED = pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4], "c": ["x", "y"]})


@pytest.mark.parametrize(
    "data",
    [
        EXPECTED,
        EXPECTED[["c", "b", "a"]],
        EXPECTED.assign(extra=1),
        EXPECTED.assign(a=[1, 2]),
        [{"a": 1, "b": 3, "c": "x"}, {"a": 2.0, "b": 4, "c": "y"}],
        {"a": [1.0, 2.0], "b": [3, 4], "c": ["x", "y"], "extra": [None, None]},
        {"a": np.array([1.0, 2.0]), "b": np.array([3, 4]), "c": ["x", "y"]},
        [[1.0, 3, "x"], [2.0, 4, "y"]],
    ],
)
def test_every_form_becomes_the_same_frame(data: Any) -> None:
    pd.testing.assert_frame_equal(enforce_columns(SPECS, data), EXPECTED)


def test_data_that_fits_is_not_copied() -> None:
    frame = pd.DataFrame({"a": [1.0], "b": [2]})
    assert enforce_columns(SPECS[:2], frame) is frame


def test_the_callers_data_is_left_alone() -> None:
    frame = EXPECTED.assign(a=[1, 2])
    before = frame.copy()
    enforce_columns(SPECS, frame)
    pd.testing.assert_frame_equal(frame, before)


def test_integers_are_widened_together_or_refused_one_by_one() -> None:
    specs = tuple(ColSpec(type="double", name=name) for name in "ab")
    frame = pd.DataFrame({"a": np.array([1], "int8"), "b": [2**53]}, index=["row"])
    widened = enforce_columns(specs, frame)
    assert widened.to_dict("index") == {"row": {"a": 1.0, "b": float(2**53)}}
    assert (widened.dtypes == "float64").all()
    with pytest.raises(InvalidInput, match="column 'b' .*given long with values too large"):
        enforce_columns(specs, frame.assign(b=2**53 + 1))


def test_the_index_stays() -> None:
    frame = EXPECTED.assign(a=[1, 2]).set_axis(["r1", "r2"])
    assert list(enforce_columns(SPECS, frame).index) == ["r1", "r2"]


def test_a_missing_optional_column_is_filled() -> None:
    optional = (
        ColSpec(type="double", name="a"),
        *(ColSpec(type=t, name=t, required=False) for t in ("double", "long")),
    )
    frame = enforce_columns(optional, [{"a": 1.0}])
    assert [str(dtype) for dtype in frame.dtypes] == ["float64", "float64", "Int64"]
    assert frame[["double", "long"]].isna().all(axis=None)


def test_a_missing_required_column_is_named_with_what_was_given() -> None:
    with pytest.raises(InvalidInput) as caught:
        enforce_columns(SPECS, [{"a": "hunter2", "d": "hunter2"}])
    assert str(caught.value) == "column 'b' of the model's input is missing (given: 'a', 'd'); add what is missing"


def test_long_lists_of_names_are_cut() -> None:
    with pytest.raises(InvalidInput, match="'x19' and 30 more"):
        enforce_columns(SPECS, pd.DataFrame({f"x{n}": [1] for n in range(50)}))


def test_values_are_never_in_a_message() -> None:
    for data in (
        [{"a": "hunter2", "b": 1}],
        {"a": ["hunter2"], "b": [1, 2]},
        [["hunter2"]],
        "hunter2",
        {"a": "hunter2"},
    ):
        with pytest.raises(InvalidInput) as caught:
            enforce_columns(SPECS, data)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_an_array_gets_the_names() -> None:
    specs = (ColSpec(type="double", name="a"), ColSpec(type="double", name="b"))
    frame = enforce_columns(specs, np.array([[1, 2], [3, 4]]))
    assert list(frame.columns) == ["a", "b"] and (frame.dtypes == "float64").all()
    assert len(enforce_columns(specs[:1], np.array([1.0, 2.0]))) == 2


@pytest.mark.parametrize("shape", [(2,), (2, 3), (1, 2, 2)])
def test_an_array_of_another_width_is_refused(shape: tuple[int, ...]) -> None:
    specs = (ColSpec(type="double", name="a"), ColSpec(type="double", name="b"))
    with pytest.raises(InvalidInput, match=r"takes 2 columns: 'a', 'b'\); give an array of shape \(any, 2\)"):
        enforce_columns(specs, np.ones(shape))


def test_columns_without_names_go_by_position() -> None:
    specs = (ColSpec(type="double"), ColSpec(type="long"))
    assert enforce_columns(specs, pd.DataFrame({"x": [1.0], "y": [2]})).to_numpy().tolist() == [[1.0, 2]]
    assert len(enforce_columns(specs[:1], pd.Series([1.0, 2.0], name="s"))) == 2


def test_a_column_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="column 'a' is given twice"):
        enforce_columns(SPECS, pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]))


@pytest.mark.parametrize("data", [3, "text", None, [], [1, 2], [[1], 2], object()])
def test_data_of_no_known_form_is_refused(data: Any) -> None:
    with pytest.raises(InvalidInput, match="does not fit the model; give a DataFrame, a list of records"):
        enforce_columns(SPECS, data)


TENSOR = (TensorSpec(dtype="float32", shape=(-1, 2)),)


@pytest.mark.parametrize(
    "data",
    [
        np.ones((3, 2), "float32"),
        np.ones((3, 2), "float16"),
        np.ones((3, 2), "int8"),
        [[1, 2], [0.1, 4]],
        pd.DataFrame(np.ones((3, 2), "float32")),
    ],
)
def test_a_tensor_is_widened_only(data: Any) -> None:
    array = enforce_tensors(TENSOR, data)
    assert array.dtype == np.float32 and array.shape[1] == 2


def test_an_array_that_fits_is_not_copied() -> None:
    array = np.ones((3, 2), "float32")
    assert enforce_tensors(TENSOR, array) is array


@pytest.mark.parametrize(
    ("data", "given"),
    [(np.ones((3, 2)), "float64"), (np.ones((3, 2), bool), "bool"), ([["a", "b"]], "str"), ([[True, False]], "bool")],
)
def test_a_tensor_that_would_lose_something_is_refused(data: Any, given: str) -> None:
    with pytest.raises(InvalidInput, match=rf"wrong type \(expected float32, given {given}.*array.astype\('float32'\)"):
        enforce_tensors(TENSOR, data)


def test_integers_of_a_literal_need_no_width_but_must_fit() -> None:
    specs = (TensorSpec(dtype="int8", shape=(-1,)),)
    assert enforce_tensors(specs, [1, 2]).dtype == np.int8
    for data in ([300], [1.0], np.array([1])):
        with pytest.raises(InvalidInput, match="expected int8"):
            enforce_tensors(specs, data)


def test_texts_have_no_width_and_objects_take_anything() -> None:
    assert enforce_tensors((TensorSpec(dtype="str", shape=(-1,)),), ["abc"]).tolist() == ["abc"]
    assert enforce_tensors((TensorSpec(dtype="object", shape=(-1,)),), [1]).dtype == object


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 2, 2)])
def test_a_tensor_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match=r"wrong shape \(expected \(any, 2\), given"):
        enforce_tensors(TENSOR, np.ones(shape, "float32"))


def test_ragged_rows_are_refused_without_values() -> None:
    with pytest.raises(InvalidInput, match="is no array .rows differ") as caught:
        enforce_tensors(TENSOR, [[1, 2], [3]])
    assert caught.value.__cause__ is None


def test_tensors_with_names_are_a_dict() -> None:
    specs = (TensorSpec(dtype="float64", shape=(-1,), name="x"), TensorSpec(dtype="int64", shape=(-1,), name="y"))
    arrays = enforce_tensors(specs, {"y": [1], "x": [2], "z": [3]})
    assert {name: array.tolist() for name, array in arrays.items()} == {"x": [2.0], "y": [1]}
    with pytest.raises(InvalidInput, match=r"array 'y' .* is missing \(given: 'x'\)"):
        enforce_tensors(specs, {"x": [1]})
    with pytest.raises(InvalidInput, match="takes arrays by name.; give a dict with 'x', 'y'"):
        enforce_tensors(specs, np.ones(3))


PARAMS = (ParamSpec(name="t", type="double", default=0.5), ParamSpec(name="l", type="long", default=[1], shape=(-1,)))


def test_parameters_are_completed() -> None:
    assert enforce_params(PARAMS, None) == {"t": 0.5, "l": [1]}
    assert enforce_params(PARAMS, {"t": 2}) == {"t": 2, "l": [1]}
    assert enforce_params(None, {"x": 1}) == {"x": 1}
    assert enforce_params(None, None) is None


def test_unknown_and_misshapen_parameters_are_refused() -> None:
    with pytest.raises(InvalidInput, match="parameter 'x' is unknown to the model; known are: 't', 'l'"):
        enforce_params(PARAMS, {"x": 1})
    with pytest.raises(InvalidInput, match="parameter 't' has the wrong shape .* give a single value"):
        enforce_params(PARAMS, {"t": [1]})
    with pytest.raises(InvalidInput, match="parameter 'l' has the wrong shape .* give a list"):
        enforce_params(PARAMS, {"l": 1})
