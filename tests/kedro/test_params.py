from __future__ import annotations

from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from ratoon_kedro.recording.params import LONGEST, REDACTED, Redactor, flatten, received_params, safe_key


@dataclass
class Tree:
    depth: int
    password: str


class Forest(BaseModel):
    trees: int
    tree: Tree


def test_only_parameters_are_taken_and_nested_ones_become_dotted() -> None:
    inputs = {"table": object(), "params:model": {"depth": 4, "loss": {"name": "log"}}, "params:seed": 7}
    assert received_params(inputs, Redactor()) == {"model.depth": "4", "model.loss.name": "log", "seed": "7"}


def test_all_parameters_at_once_have_the_same_keys_as_single_ones() -> None:
    everything = {"model": {"depth": 4}, "seed": 7}
    assert received_params({"parameters": everything}, Redactor()) == {"model.depth": "4", "seed": "7"}


def test_dataclasses_and_pydantic_models_are_branches() -> None:
    forest = Forest(trees=3, tree=Tree(depth=2, password="x"))
    assert flatten("forest", forest, Redactor()) == {
        "forest.trees": "3",
        "forest.tree.depth": "2",
        "forest.tree.password": REDACTED,
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "None"), (True, "True"), (0.1, "0.1"), ([1, "a", {"b": 2}], '[1, "a", {"b": 2}]'), ({}, "{}"), ("", "")],
)
def test_leaves_are_text(value: object, text: str) -> None:
    assert flatten("x", value, Redactor()) == {"x": text}


@pytest.mark.parametrize(
    "key",
    ["password", "db.passwd", "apiToken", "api_key", "aws-secret-access", "credentials.user", "KEY", "smtp.auth"],
)
def test_secrets_are_hidden(key: str) -> None:
    assert Redactor().hides(key)


@pytest.mark.parametrize("key", ["max_tokens", "tokenizer", "monkey", "keys", "author", "model.depth"])
def test_what_only_sounds_like_a_secret_is_not_hidden(key: str) -> None:
    assert not Redactor().hides(key)


def test_the_project_can_hide_more() -> None:
    redactor = Redactor([r"^db\.user$"])
    assert flatten("", {"db": {"user": "anna", "host": "h"}}, redactor) == {"db.user": REDACTED, "db.host": "h"}


def test_secrets_inside_lists_and_urls_are_hidden() -> None:
    flat = flatten("sources", [{"token": "abc", "url": "https://anna:pw@host/x"}], Redactor())
    assert flat == {"sources": '[{"token": "[redacted]", "url": "https://[redacted]@host/x"}]'}


def test_a_value_that_no_store_holds_is_cut_and_says_so() -> None:
    (text,) = flatten("long", "x" * 10_000, Redactor()).values()
    assert len(text) <= LONGEST
    assert text.endswith("… (10000 characters)")


@pytest.mark.parametrize(
    ("name", "key"), [("a b", "a b"), ("f([x;y])", "f__x_y__"), ("../up", "_/up"), ("", "_"), ("é", "é")]
)
def test_keys_are_made_fit_for_the_stores(name: str, key: str) -> None:
    assert safe_key(name) == key
