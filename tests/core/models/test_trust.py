from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from ratoon.errors import InvalidInput, RatoonError, Untrusted
from ratoon.models.trust import TrustLevel, TrustPolicy, load_pickle, policy_from, save_pickle


def test_nothing_given_means_data_only() -> None:
    assert policy_from(None) == TrustPolicy(TrustLevel.DATA)
    assert not policy_from(None).allows_code


def test_code_must_be_said() -> None:
    assert policy_from("code").level == "trusted-code"


def test_names_are_trusted_types() -> None:
    assert policy_from(["a.b.C"]) == TrustPolicy(TrustLevel.TYPES, ("a.b.C",))


def test_a_policy_stays_what_it_is() -> None:
    policy = TrustPolicy(TrustLevel.TYPES, ("a.B",))
    assert policy_from(policy) is policy


@pytest.mark.parametrize("trust", ["yes", "a.B", True, ["nodots"], ["a.B", 3], {"a.B"}, ["a.B; import os"]])
def test_anything_else_is_refused_with_what_to_give(trust: Any) -> None:
    with pytest.raises(InvalidInput, match=r'cannot be used; give "code" or a list of dotted names'):
        policy_from(trust)


@pytest.mark.parametrize("trust", [None, ["builtins.eval"]])
def test_code_is_refused_with_the_way_out(trust: Any) -> None:
    with pytest.raises(Untrusted, match='model x is not loaded .* load it with trust="code" or --trust code'):
        policy_from(trust).require_code("model x")


def test_types_that_are_not_listed_are_named() -> None:
    with pytest.raises(Untrusted, match=r"nobody vouched for: 'a\.C'\); .* trust=\['a\.C'\]"):
        policy_from(["a.B"]).require_types("file x", ["a.B", "a.C"])


def test_listed_types_and_code_pass() -> None:
    policy_from(["a.B"]).require_types("file x", ["a.B"])
    policy_from("code").require_types("file x", ["a.B"])
    policy_from("code").require_code("file x")


def test_a_pickle_is_not_touched_without_trust(tmp_path: Path, canary: Any) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(canary))
    with pytest.raises(Untrusted, match=r"model\.pkl"):
        load_pickle(path, policy_from(["pathlib.Path"]))
    assert not canary.path.exists()
    load_pickle(path, policy_from("code"))
    assert canary.path.exists(), "the canary would have told"


def test_a_pickle_that_needs_a_missing_module_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cno_such_module\nThing\n.")
    with pytest.raises(RatoonError, match="no module named 'no_such_module' here"):
        load_pickle(path, policy_from("code"))


def test_what_cannot_be_pickled_is_refused(tmp_path: Path) -> None:
    with (
        (tmp_path / "open.txt").open("w") as file,
        pytest.raises(InvalidInput, match="cannot be saved .* keep open files"),
    ):
        save_pickle({"log": file}, tmp_path / "model.pkl")
    assert not (tmp_path / "model.pkl").exists()
