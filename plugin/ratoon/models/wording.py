"""How messages name what a model takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

LISTED_NAMES = 20


def listed(names: Iterable[Any]) -> str:
    """Names in quotes, the first of them if there are many."""
    shown = [repr(name) for name in names]
    rest = len(shown) - LISTED_NAMES
    return (", ".join(shown[:LISTED_NAMES]) or "nothing") + (f" and {rest} more" if rest > 0 else "")


def shape_text(shape: Sequence[int]) -> str:
    """The shape of an array, with a word for any length."""
    return "(" + ", ".join("any" if length == -1 else str(length) for length in shape) + ")"
