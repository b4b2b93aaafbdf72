from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ratoon.errors import InvalidInput
from ratoon.models.casting import cast_column
from ratoon.models.schema import ColSpec

NAN = float("nan")
STAMPS = pd.to_datetime(["2020-01-01", "2020-01-02"])


def cast(values: Any, kind: str, *, required: bool = True, literal: bool = False) -> pd.Series:
    return cast_column(pd.Series(values), "age", ColSpec(type=kind, name="age", required=required), literal)


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        ([True, False], "boolean", "bool"),
        (np.array([1], "int8"), "integer", "int32"),
        ([1, 2], "integer", "int32"),
        (np.array([1], "int32"), "long", "int64"),
        (np.array([1], "uint32"), "long", "int64"),
        ([1, 2], "float", "float32"),
        (np.array([1], "float16"), "float", "float32"),
        ([1, 2], "double", "float64"),
        (np.array([1.5], "float32"), "double", "float64"),
        (pd.array([1, 2], dtype="Int64"), "long", "int64"),
        (pd.array([1.5, None], dtype="Float64"), "double", "float64"),
        (pd.array([1, None], dtype="Int64"), "double", "float64"),
        (pd.Series([1, None], dtype=object), "double", "float64"),
        (pd.Series([date(2020, 1, 1)]), "datetime", "datetime64"),
    ],
)
def test_lossless_casts_are_done(values: Any, kind: str, dtype: str) -> None:
    result = cast(values, kind)
    assert str(result.dtype).startswith(dtype)
    given = pd.Series(values)
    assert (result.isna() == given.isna()).all()
    if kind != "datetime":
        assert (result.dropna().astype(float) == given.dropna().astype(float)).all()


@pytest.mark.parametrize(
    ("values", "kind"),
    [(["a"], "string"), (pd.Categorical(["a"]), "string"), ([b"a"], "binary"), (STAMPS, "datetime"), ([[1]], "array")],
)
def test_what_fits_is_handed_on(values: Any, kind: str) -> None:
    column = pd.Series(values)
    assert cast_column(column, "age", ColSpec(type=kind, name="age"), False) is column


@pytest.mark.parametrize(
    ("values", "kind", "given", "fix"),
    [
        ([1, 0], "boolean", "long", "data['age'].astype('bool')"),
        (["yes"], "boolean", "string", "data['age'].astype('bool')"),
        ([1.0, 2.0], "integer", "double", "data['age'].round().astype('int32')"),
        ([1.0, 2.0], "long", "double", "data['age'].round().astype('int64')"),
        ([True], "long", "boolean", "data['age'].round().astype('int64')"),
        (["1"], "integer", "string", "data['age'].round().astype('int32')"),
        ([0.1], "float", "double", "data['age'].astype('float32')"),
        (["1.5"], "double", "string", "pandas.to_numeric(data['age'])"),
        ([True], "double", "boolean", "pandas.to_numeric(data['age'])"),
        (STAMPS, "double", "datetime", "pandas.to_numeric(data['age'])"),
        ([1], "string", "long", "data['age'].astype('str')"),
        ([b"a"], "string", "binary", "data['age'].astype('str')"),
        (["a"], "binary", "string", "data['age'].str.encode('utf-8')"),
        (["2020-01-01"], "datetime", "string", "pandas.to_datetime(data['age'])"),
        ([3], "datetime", "long", "pandas.to_datetime(data['age'])"),
        (["a", 1], "string", "a mixture", "data['age'].astype('str')"),
    ],
)
def test_everything_else_is_refused_with_column_types_and_fix(values: Any, kind: str, given: str, fix: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        cast(values, kind)
    assert str(caught.value) == (
        f"column 'age' of the model's input has the wrong type (expected {kind}, given {given}); "
        f"convert it, for example {fix}"
    )


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([2**31], "integer"),
        ([-(2**31) - 1], "integer"),
        ([2**24 + 1], "float"),
        ([2**53 + 1], "double"),
        (pd.Series([2**63], dtype=object), "long"),
    ],
)
def test_integers_that_would_change_are_refused(values: Any, kind: str) -> None:
    with pytest.raises(InvalidInput, match="given long with values too large for it"):
        cast(values, kind)


@pytest.mark.parametrize(
    ("values", "kind"), [([2**31 - 1, -(2**31)], "integer"), ([2**24], "float"), ([2**53], "double")]
)
def test_integers_at_the_limit_pass(values: Any, kind: str) -> None:
    assert cast(values, kind).tolist() == values


@pytest.mark.parametrize("kind", ["integer", "long", "boolean"])
def test_gaps_in_a_required_column_without_a_missing_value_are_refused(kind: str) -> None:
    with pytest.raises(InvalidInput, match=f"column 'age' .* has missing values .type {kind} has none.; fill them"):
        cast([1.0, NAN], kind)


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        ([1.0, NAN], "long", "Int64"),
        (pd.Series([1, None], dtype=object), "integer", "Int32"),
        (pd.Series([True, None], dtype=object), "boolean", "boolean"),
        ([None, None], "long", "Int64"),
        ([None, None], "double", "float64"),
        ([None, None], "datetime", "datetime64[ns]"),
    ],
)
def test_gaps_in_an_optional_column_stay_gaps(values: Any, kind: str, dtype: str) -> None:
    result = cast(values, kind, required=False)
    assert str(result.dtype) == dtype
    assert (result.isna() == pd.Series(values).isna()).all()


@pytest.mark.parametrize("values", [[1.5, NAN], [float("inf"), NAN]])
def test_fractions_beside_gaps_are_no_integers(values: list[float]) -> None:
    with pytest.raises(InvalidInput, match="expected long, given double"):
        cast(values, "long", required=False)


def test_no_rows_fit_every_type() -> None:
    for kind, dtype in {"long": "int64", "double": "float64", "boolean": "bool"}.items():
        assert str(cast(pd.Series([], dtype=object), kind).dtype) == dtype


def test_literals_may_be_rounded_to_32_bits_but_not_overflow() -> None:
    assert cast([0.1, 2**24 + 1], "float", literal=True).dtype == np.float32
    with pytest.raises(InvalidInput, match="expected float, given double"):
        cast([1e300], "float", literal=True)


def test_literal_texts_are_datetimes_if_they_are_iso_8601() -> None:
    assert cast(["2020-01-01T10:00:00", "2020-01-02"], "datetime", literal=True)[0] == pd.Timestamp(2020, 1, 1, 10)
    with pytest.raises(InvalidInput) as caught:
        cast(["secret"], "datetime", literal=True)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("values", "dtype"), [([4, 6, 4], "int64"), ([4, None, 6], "Int64")])
def test_categories_of_numbers_are_numbers(values: list[Any], dtype: str) -> None:
    spec = ColSpec(type="long", name="legs", required=None not in values)
    converted = cast_column(pd.Series(values, dtype="category"), "legs", spec, literal=False)
    pd.testing.assert_series_equal(converted, pd.Series(values, dtype=dtype))


@pytest.mark.parametrize(
    ("values", "kind", "result"),
    [
        ([Decimal("0.1"), Decimal("2.50")], "double", [0.1, 2.5]),
        ([Decimal("Infinity")], "double", [float("inf")]),
        ([Decimal(3), Decimal(2**60 + 1)], "long", [3, 2**60 + 1]),
        ([Decimal(3)], "double", [3.0]),
    ],
)
def test_decimals_become_numbers_that_write_the_same_digits(values: list[Any], kind: str, result: list[Any]) -> None:
    assert cast(values, kind).tolist() == result
    gaps = cast([*values, None], kind, required=False)
    assert gaps[:-1].tolist() == result and pd.isna(gaps.iloc[-1])


@pytest.mark.parametrize(
    ("value", "kind", "given"),
    [
        (Decimal("0.12345678901234567890"), "double", "decimal with more digits than it holds"),
        (Decimal(2**60 + 1), "double", "long with values too large for it"),
        (Decimal("1.5"), "long", "double"),
        (Decimal("0.1"), "float", "double"),
    ],
)
def test_decimals_that_would_lose_digits_are_refused(value: Decimal, kind: str, given: str) -> None:
    with pytest.raises(InvalidInput, match=f"column 'age' .*expected {kind}, given {given}"):
        cast([value], kind)


def test_unsigned_integers_of_64_bits_go_by_their_values() -> None:
    assert cast(np.array([5], "uint64"), "long").tolist() == [5]
    with pytest.raises(InvalidInput, match="expected long, given long with values too large"):
        cast(np.array([2**63], "uint64"), "long")


def test_categories_with_gaps_keep_every_digit() -> None:
    column = cast(pd.Categorical([2**60 + 1, None]), "long", required=False)
    assert column[0] == 2**60 + 1 and str(column.dtype) == "Int64"


def test_an_infinite_literal_survives_in_32_bits() -> None:
    assert cast([float("inf"), 0.5], "float", literal=True).tolist() == [float("inf"), 0.5]


def test_a_large_integer_beside_fractions_is_refused() -> None:
    with pytest.raises(InvalidInput, match="expected double, given double"):
        cast(pd.Series([2**53 + 1, 0.5], dtype=object), "double")
