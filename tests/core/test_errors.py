from __future__ import annotations

import inspect
import re

import pytest

from ratoon import errors
from ratoon.errors import InvalidInput, MissingExtra, PromotionRefused, RatoonError

CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == "ratoon.errors"]


def test_the_tree_in_the_docstring_shows_every_class_below_its_base() -> None:
    drawn = {}
    above: dict[int, str] = {}
    for prefix, name in re.findall(r"^    ([│├└─ ]*)(\w+Error|\w+)(?=  |$)", str(errors.__doc__), re.MULTILINE):
        above[len(prefix)] = name
        drawn[name] = above.get(len(prefix) - 4, "Exception")
    assert drawn == {each.__name__: each.__base__.__name__ for each in CLASSES}


def test_every_class_says_in_a_sentence_when_it_is_raised() -> None:
    assert [each for each in CLASSES if not str(each.__doc__).partition("\n")[0].endswith((".", "attached"))] == []


@pytest.mark.parametrize("error", CLASSES)
def test_the_exit_code_tells_input_from_everything_else(error: type[RatoonError]) -> None:
    assert error.exit_code == (2 if issubclass(error, InvalidInput) else 1)


def test_a_missing_extra_says_how_to_install_it() -> None:
    error = MissingExtra("the flavor 'sklearn'", "sklearn", "skops")
    assert str(error) == "the flavor 'sklearn' needs the package 'skops'; pip install 'ratoon[sklearn]'"


def test_a_refusal_carries_its_verdicts() -> None:
    assert PromotionRefused("no").verdicts == ()
