from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratoon.artifacts.layout import escape
from ratoon.artifacts.paths import check_path
from ratoon.entities import Metric
from ratoon.errors import InvalidInput
from ratoon.stores.limits import (
    check_alias,
    check_key,
    check_metric,
    check_model_name,
    check_name,
    check_text,
)
from ratoon.tracking.locations import ModelUri, parse_model_uri

ANY_TEXT = st.text(st.characters(codec=None), max_size=40) | st.text("ab./\\%:@#? \0\n~v1latest", max_size=12)


def passes(check: Callable[..., object], *arguments: object) -> bool:
    try:
        check(*arguments)
    except InvalidInput as error:
        assert "\n" not in str(error) and "; " in str(error)
        return False
    return True


@given(ANY_TEXT)
def test_a_key_that_passes_is_no_way_out_of_a_folder(key: str) -> None:
    if passes(check_key, "param", key):
        assert key.encode()
        assert not key.startswith("/") and "\\" not in key
        assert not {"", ".", ".."} & set(key.split("/"))


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_\-. :]{0,40}(/[A-Za-z0-9_]+){0,3}", fullmatch=True))
def test_every_key_that_people_use_passes(key: str) -> None:
    assert passes(check_key, "metric", key)


@given(ANY_TEXT)
def test_a_text_that_passes_is_what_every_database_holds(text: str) -> None:
    if passes(check_text, "value", text, 30):
        assert text.encode().decode() == text
        assert len(text) <= 30 and "\0" not in text


@given(ANY_TEXT)
def test_a_name_that_passes_is_normal_and_stays_so(name: str) -> None:
    if passes(check_name, "run", name):
        normal = check_name("run", name)
        assert check_name("run", normal) == normal == normal.strip() != ""


@given(ANY_TEXT, st.integers(1, 10**9 - 1))
def test_a_model_name_that_passes_comes_back_from_its_uris(name: str, version: int) -> None:
    if passes(check_model_name, name) and not re.fullmatch("m-[0-9a-f]{32}", name):
        name = check_model_name(name)
        assert parse_model_uri(f"models:/{name}/{version}") == ModelUri(name=name, version=version)
        assert parse_model_uri(f"models:/{name}@champion") == ModelUri(name=name, alias="champion")
        assert parse_model_uri(f"models:/{name}/latest") == ModelUri(name=name)


@given(ANY_TEXT)
def test_an_alias_that_passes_is_no_version_and_comes_back_from_its_uri(alias: str) -> None:
    if passes(check_alias, alias):
        assert parse_model_uri(f"models:/wine@{alias}") == ModelUri(name="wine", alias=alias)
        with pytest.raises(ValueError):
            int(alias.removeprefix("v"))


@given(st.floats() | st.integers() | st.integers(-(2**1100), 2**1100), st.integers(), st.integers())
def test_a_metric_that_passes_is_stored_exactly(value: float, step: int, timestamp: int) -> None:
    if passes(check_metric, Metric("m", value, timestamp, step)):
        assert float(value) == value or math.isnan(value)
        assert all(-(2**63) <= number < 2**63 for number in (step, timestamp))


@given(st.floats(), st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_every_float_at_every_64_bit_step_passes(value: float, step: int, timestamp: int) -> None:
    assert passes(check_metric, Metric("m", value, timestamp, step))


@pytest.mark.parametrize("value", [True, "1", None, 1j, b"1", [1.0]])
def test_what_is_no_number_is_no_metric(value: float) -> None:
    with pytest.raises(InvalidInput, match="metric 'm' has the value .*; give a number"):
        check_metric(Metric("m", value, 0))


@pytest.mark.parametrize("number", [True, 1.0, None, "1", 2**63, -(2**63) - 1])
def test_what_is_no_integer_of_64_bits_is_no_step_and_no_time(number: int) -> None:
    with pytest.raises(InvalidInput, match="has the step .*; give an integer of 64 bits"):
        check_metric(Metric("m", 1.0, 0, number))
    with pytest.raises(InvalidInput, match="has the timestamp .*; give an integer of 64 bits"):
        check_metric(Metric("m", 1.0, number, 0))


def test_a_refused_key_is_told_what_is_allowed() -> None:
    for key in ("a?", "", "a\nb", "a\\b", 3):
        with pytest.raises(InvalidInput, match=r"tag key .* is not allowed; use letters, digits, spaces"):
            check_key("tag", key)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="has 251 characters; 250 are allowed"):
        check_key("tag", "x" * 251)
    with pytest.raises(InvalidInput, match="reads as a path"):
        check_key("tag", "a//b")


def test_a_text_that_is_too_long_is_told_where_to_go() -> None:
    with pytest.raises(InvalidInput, match="value has 4 characters; 3 are allowed, log it as an artifact"):
        check_text("value", "abcd", 3)
    with pytest.raises(InvalidInput, match="value is 3; give a string"):
        check_text("value", 3, 3)  # type: ignore[arg-type]


@given(ANY_TEXT)
def test_an_artifact_path_that_passes_stays_in_its_folder(path: str) -> None:
    if passes(check_path, path):
        assert path.encode()
        assert not {"", ".", ".."} & set(path.split("/"))


@given(ANY_TEXT, ANY_TEXT)
def test_two_names_never_share_a_file(one: str, other: str) -> None:
    names = [name for name in (one, other) if "/" not in name and passes(check_path, name)]
    escaped = {escape(name) for name in names}
    assert len(escaped) == len(set(names))
    for name in escaped:
        assert not name.startswith(".") and not name.endswith((".", ".ref")) and "/" not in name


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "models:/",
        "models:/@champion",
        "models:/wine@",
        "models:/wine/x",
        "models:/wine/-1",
        "models:/wine/1/2",
        "models:/wine/1234567890",
        "runs:/",
        "runs:/abc",
        "runs:/abc/",
        "runs:/abc//",
        "s3://bucket/model",
        "wine",
    ],
)
def test_a_uri_that_names_no_model_is_refused_with_the_forms(uri: str) -> None:
    with pytest.raises(InvalidInput, match=r"cannot be read; give models:/NAME@ALIAS, models:/NAME/VERSION or runs:/"):
        parse_model_uri(uri)


def test_the_forms_of_model_uris() -> None:
    model_id = f"m-{'a1' * 16}"
    assert parse_model_uri(f"models:/{model_id}") == ModelUri(model_id=model_id)
    assert parse_model_uri("models:/wine") == ModelUri(name="wine")
    assert parse_model_uri("models:/wine/0") == ModelUri(name="wine", version=0)
    assert parse_model_uri("runs:/abc/folder/model") == ModelUri(run_id="abc", run_model="folder/model")
