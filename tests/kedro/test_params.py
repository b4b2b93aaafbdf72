from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from ratoon_kedro.recording.params import (
    LONGEST,
    REDACTED,
    Redactor,
    flatten,
    received_params,
    safe_key,
    without_userinfo,
)


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
    ["password", "db.passwd", "apiToken", "api_key", "aws-secret-access", "credentials.user", "KEY", "smtp.auth"]
    + ["apikey", "APIKey", "api_keys", "access_key_id", "AWSAccessKeyId", "account_key", "connection_string"]
    + ["connectionString", "authorization", "headers.Authorization", "cookie", "Cookies", "bearer", "access_tokens"],
)
def test_secrets_are_hidden(key: str) -> None:
    assert Redactor().hides(key)


@pytest.mark.parametrize(
    "key",
    ["max_tokens", "tokenizer", "monkey", "keys", "author", "model.depth"]
    + ["n_keys", "keywords", "keyword", "stop_tokens", "tokens", "join_keys", "signature", "authors", "MonKeys"],
)
def test_what_only_sounds_like_a_secret_is_not_hidden(key: str) -> None:
    assert not Redactor().hides(key)


def test_the_project_can_hide_more() -> None:
    redactor = Redactor([r"^db\.user$"])
    assert flatten("", {"db": {"user": "anna", "host": "h"}}, redactor) == {"db.user": REDACTED, "db.host": "h"}


def test_secrets_inside_lists_and_urls_are_hidden() -> None:
    flat = flatten("sources", [{"token": "abc", "url": "https://anna:pw@host/x"}], Redactor())
    assert flat == {"sources": '[{"token": "[redacted]", "url": "https://[redacted]@host/x"}]'}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://bob:p@ssSECRET@h/db", "postgresql://[redacted]@h/db"),
        ("postgresql://bob:pa/SLASHSECRET@h/db", "postgresql://[redacted]@h/db"),
        ("postgresql://bob:pa?x#SECRET@h/db", "postgresql://[redacted]@h/db"),
        ("redis://:SECRET@h:1", "redis://[redacted]@h:1"),
        ("https://SECRET@h/x", "https://[redacted]@h/x"),
        ("a 'x://b:SECRET@h' and x://b:SECRET@g", "a 'x://[redacted]@h' and x://[redacted]@g"),
        ("https://proxy/https://b:SECRET@h/x", "https://proxy/https://[redacted]@h/x"),
        ("https://SECRET@h/x://b:SECRET@g", "https://[redacted]@h/x://[redacted]@g"),
        ("https://host/a@b", "https://host/a@b"),
        ("https://host/a:b@c?d=e@f", "https://host/a:b@c?d=e@f"),
        ("http://localhost:8080/a@b", "http://localhost:8080/a@b"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("https://h.org:80/a@b", "https://h.org:80/a@b"),
        ("mail a@b: x=y", "mail a@b: x=y"),
        ("https://h/c?sv=1&sig=SECRET&se=2", "https://h/c?sv=1&sig=[redacted]&se=2"),
        ("s3://h?X-Amz-Signature=SECRET#top", "s3://h?X-Amz-Signature=[redacted]#top"),
        ("https://h?apikey=SECRET&amp;token=SECRET", "https://h?apikey=[redacted]&amp;token=[redacted]"),
        ("https://h?max_tokens=5&password=SECRET&a=b", "https://h?max_tokens=5&password=[redacted]&a=b"),
        ("AccountName=a;AccountKey=SEC+/RET==;E=c", "AccountName=a;AccountKey=[redacted];E=c"),
        ("SharedAccessSignature=sv=1&sig=SECRET;E=c", "SharedAccessSignature=[redacted];E=c"),
        ("Server=h;Password=SEC&RET;E=c", "Server=h;Password=[redacted];E=c"),
        ("connect(password='SEC RET', a=1)", "connect(password='[redacted]', a=1)"),
        ('{"x": "password=\\"SECRET\\""}', '{"x": "password=\\"[redacted]\\""}'),
        ("loss=0.5 key=3 if password == word", "loss=0.5 key=3 if password == word"),
    ],
)
def test_urls_and_connection_strings_lose_their_secrets(text: str, shown: str) -> None:
    assert without_userinfo(text) == shown
    assert without_userinfo(shown) == shown


def test_long_texts_are_cleaned_in_no_time() -> None:
    for text in ("://a:b" * 50_000, "x" * 300_000 + "=@://", "?a=b&" * 60_000, "://a/b@" * 30_000, "pwd=" * 60_000):
        begin = time.perf_counter()
        without_userinfo(text)
        assert time.perf_counter() - begin < 1


def test_a_value_that_no_store_holds_is_cut_and_says_so() -> None:
    (text,) = flatten("long", "x" * 10_000, Redactor()).values()
    assert len(text) <= LONGEST
    assert text.endswith("… (10000 characters)")


@pytest.mark.parametrize(
    ("name", "key"), [("a b", "a b"), ("f([x;y])", "f__x_y__"), ("../up", "_/up"), ("", "_"), ("é", "é")]
)
def test_keys_are_made_fit_for_the_stores(name: str, key: str) -> None:
    assert safe_key(name) == key
