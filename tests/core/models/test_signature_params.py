from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import pytest

from ratoon.errors import InvalidInput
from ratoon.models.parameters import enforce_params
from ratoon.models.schema import ParamSpec
from ratoon.models.signature import Signature, infer_signature

DEFAULTS = {
    "temperature": 0.5,
    "top_k": 3,
    "stop": ["a"],
    "since": datetime(2020, 1, 1),
    "on": True,
    "options": {"deep": 1},
}
SIGNATURE = infer_signature([1], params=DEFAULTS)


def test_defaults_come_back_as_what_they_were() -> None:
    again = Signature.from_mlflow(SIGNATURE.to_mlflow())
    assert again == SIGNATURE
    assert again.enforce_params(None) == DEFAULTS
    assert infer_signature([1]).params is None
    assert infer_signature([1], params={}).params == ()


def test_the_defaults_of_the_signature_cannot_be_changed_by_a_model() -> None:
    params = SIGNATURE.enforce_params({})
    assert params is not None
    params["stop"].append("b")
    params["options"]["deep"] = 2
    assert SIGNATURE.enforce_params({}) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("temperature", 2, 2.0),
        ("temperature", np.float32(0.5), 0.5),
        ("temperature", np.int64(2), 2.0),
        ("temperature", None, None),
        ("top_k", np.int32(5), 5),
        ("top_k", 2**63 - 1, 2**63 - 1),
        ("stop", ("x", "y"), ["x", "y"]),
        ("stop", np.array(["x"]), ["x"]),
        ("stop", [], []),
        ("since", "2021-02-03", date(2021, 2, 3)),
        ("since", "2021-02-03T04:05:06+00:00", datetime.fromisoformat("2021-02-03T04:05:06+00:00")),
        ("since", np.datetime64("2021-02-03T04:05:06.000000000"), datetime(2021, 2, 3, 4, 5, 6)),
        ("on", np.bool_(False), False),
        ("options", {"deep": 7}, {"deep": 7}),
    ],
)
def test_lossless_values_are_pythons_own(name: str, value: Any, expected: Any) -> None:
    params = SIGNATURE.enforce_params({name: value})
    assert params is not None and params[name] == expected
    assert type(params[name]) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "temperature",
            "hot",
            "parameter 'temperature' has the wrong type (expected double, given string); give a number",
        ),
        ("temperature", True, "expected double, given boolean"),
        ("temperature", 2**53 + 1, "expected double, given long"),
        ("top_k", 3.0, "(expected long, given double); give a whole number of 64 bits"),
        ("top_k", 2**63, "given an integer of more than 64 bits"),
        ("top_k", True, "expected long, given boolean"),
        ("top_k", [3], "parameter 'top_k' has the wrong shape (given 'list'); give a single value"),
        ("stop", "a", "parameter 'stop' has the wrong shape (given 'str'); give a list"),
        ("stop", [1], "(expected string, given long); give a string for each"),
        ("since", "yesterday", "(expected datetime, given string); give a datetime, or one as ISO 8601"),
        ("since", 3, "expected datetime, given long"),
        ("on", 1, "(expected boolean, given long); give true or false"),
        ("options", 3, "expected object, given long"),
        ("options", {"deep": "x"}, "at 'options.deep' (expected long, given string)"),
        ("options", {"deep": 1, "wide": 2}, "at 'options.wide' (expected no such property, given long)"),
    ],
)
def test_lossy_values_are_refused_with_type_and_fix(name: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        SIGNATURE.enforce_params({name: value})
    assert message in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_unknown_parameter_is_refused_with_what_was_probably_meant() -> None:
    with pytest.raises(InvalidInput) as caught:
        SIGNATURE.enforce_params({"temprature": 1})
    assert str(caught.value) == (
        "parameter 'temprature' is unknown to the model; known are: 'temperature', 'top_k', 'stop', 'since', 'on', "
        "'options'; did you mean 'temperature'?"
    )
    with pytest.raises(InvalidInput, match=r"parameter '3' is unknown to the model; known are: 't'$"):
        enforce_params((ParamSpec(name="t", type="long", default=1),), {3: 1})  # type: ignore[dict-item]


def test_a_datetime_that_python_cannot_hold_stays_numpys() -> None:
    moment = np.datetime64("2021-02-03T04:05:06.000000001")
    params = SIGNATURE.enforce_params({"since": moment})
    assert params is not None and params["since"] is moment


@pytest.mark.parametrize(
    "value", [None, [], b"x", [b"x"], [[1]], np.ones((1, 1)), 1j, ["a", 1], [True, 2], 2**63, [{}]]
)
def test_defaults_that_tell_no_type_are_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="parameter 'p' cannot be described .* give a number, a string"):
        infer_signature([1], params={"p": value})
