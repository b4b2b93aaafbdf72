from __future__ import annotations

import re

import pytest

from ratoon.errors import InvalidSetting
from ratoon_kedro.describing.run_names import run_name
from ratoon_kedro.recording.params import Redactor

FACTS = {"pipeline": "training", "env": "local", "user": "anna", "git": "1a2b3c4"}
PARAMETERS = {"model": {"max_depth": 4, "rate": 0.125, "kind": "forest"}, "db": {"password": "hunter2"}}


def name(template: str) -> str:
    return run_name(template, FACTS, PARAMETERS, Redactor())


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("nightly", "nightly"),
        ("{pipeline}-{params.model.max_depth}", "training-4"),
        ("{env} {user} {git}", "local anna 1a2b3c4"),
        ("{params.model.rate:.2f} {params.model.max_depth:03d}", "0.12 004"),
        ("{params.model.kind:>8}", "  forest"),
        ("{{braces}}", "{braces}"),
        ("{params.db.password}", "[redacted]"),
    ],
)
def test_the_fields_of_a_template(template: str, expected: str) -> None:
    assert name(template) == expected


def test_the_date_takes_a_format() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", name("{date}"))
    assert re.fullmatch(r"\d\d:\d\d", name("{date:%H:%M}"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{pipelin}", "setting 'run_name' has the unknown field 'pipelin'; did you mean 'pipeline'?"),
        (
            "{params.model.max_dept}",
            "setting 'run_name' has the unknown field 'params.model.max_dept'; did you mean 'params.model.max_depth'?",
        ),
        (
            "{0}",
            "setting 'run_name' has the unknown field '0'; known fields are pipeline, env, user, date, git"
            " and params.<name>",
        ),
        (
            "{pipeline",
            "setting 'run_name' is '{pipeline' (expected '}' before end of string); correct it",
        ),
        (
            "{params.model.kind:d}",
            "setting 'run_name' is '{params.model.kind:d}' (Unknown format code 'd' for object of type 'str');"
            " correct it",
        ),
    ],
)
def test_a_template_that_cannot_be_filled_is_refused(template: str, message: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        name(template)
    assert str(caught.value) == message


def test_a_name_is_not_longer_than_a_store_takes() -> None:
    assert len(name("x" * 1000)) == 250
