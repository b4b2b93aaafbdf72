"""What the parts of the session have in common."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pandas
from mlflow.exceptions import MlflowException
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

PARTS: dict[str, Callable[[pathlib.Path], None]] = {}


def part(function: Callable[[pathlib.Path], None]) -> Callable[[pathlib.Path], None]:
    PARTS[function.__name__] = function
    return function


def refused(code: str, call: Callable[[], object]) -> str:
    try:
        call()
    except MlflowException as error:
        assert error.error_code == code, (code, error.error_code, str(error))
        return str(error)
    raise AssertionError(f"was not refused with {code}")


def iris() -> tuple[pandas.DataFrame, pandas.Series]:
    data = load_iris(as_frame=True)
    return data.data, data.target


def trained() -> LogisticRegression:
    rows, kinds = iris()
    return LogisticRegression(max_iter=500).fit(rows, kinds)
