"""What the messages have in common: texts, 64-bit numbers, pairs, pages.

Requests are decoded as protobuf does it: a number may be a string, null is as good as nothing, an unknown field is
passed over. What cannot be kept exactly is refused.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct

from ratoon.entities import Page, Query, ViewType
from ratoon.errors import InvalidInput

T = TypeVar("T")

Required = Annotated[str, Meta(min_length=1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Json = dict[str, Any]

NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
MISSING = "Missing value for required parameter '{}'. See the API docs for more information about request parameters."


class KeyValue(Struct, frozen=True):
    """A tag, or a param."""

    key: Required
    value: str = ""


class Nothing(Struct, frozen=True):
    """A request without fields."""


class Search(Struct, frozen=True, kw_only=True):
    """What all searches ask for."""

    filter: str | None = None
    order_by: list[str] | None = None
    max_results: Int64 | None = None
    page_token: str | None = None


def query_of(request: Search, *, limit: int, view: ViewType | None = None) -> Query:
    """The query of a search; ``limit`` is the size of its pages where it names none."""
    return Query(
        filter=request.filter or "",
        order_by=tuple(request.order_by or ()),
        view=view or ViewType.ACTIVE_ONLY,
        limit=limit if request.max_results is None else request.max_results,
        page_token=request.page_token or None,
    )


def page(name: str, found: Page[T], to_json: Callable[[T], Json]) -> Json:
    """A page of answers; what is empty is left out, as protobuf does."""
    answer: Json = {name: [to_json(item) for item in found.items]} if found.items else {}
    return answer | ({"next_page_token": found.next_token} if found.next_token else {})


def mapping(pairs: Iterable[KeyValue] | None) -> dict[str, str]:
    """Pairs as a mapping; the last one of a key wins."""
    return {pair.key: pair.value for pair in pairs or ()}


def pairs(values: Mapping[str, str]) -> list[Json]:
    """A mapping as pairs."""
    return [{"key": key, "value": value} for key, value in values.items()]


def number(value: float) -> float | str:
    """A double as protobuf writes it in JSON, which has neither NaN nor infinity."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def given(answer: Json) -> Json:
    """An answer without what is not known or empty."""
    return {key: value for key, value in answer.items() if value is not None and value != []}


def whole(what: str, text: str) -> int:
    """A version, which is a string on the wire; InvalidInput if it is none."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidInput(f"{what} {text[:40]!r} is not a number; give one such as '3'")
    return int(text)


def required(name: str, *values: str | None) -> str:
    """The first of some spellings of a parameter that has a value."""
    for value in values:
        if value:
            return value
    raise InvalidInput(MISSING.format(name))


def one_of_each(kind: str, found: Sequence[KeyValue] | None) -> dict[str, str]:
    """Params as a mapping; InvalidInput if a key has two values, since neither could be kept without losing one."""
    values = mapping(found)
    for pair in found or ():
        if values[pair.key] != pair.value:
            raise InvalidInput(
                f"{kind} {pair.key!r} is given twice, as {pair.value[:80]!r} and as {values[pair.key][:80]!r};"
                " give it one value"
            )
    return values


def new_id() -> str:
    """32 hexadecimal digits."""
    return uuid.uuid4().hex
