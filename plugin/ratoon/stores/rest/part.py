"""What every part of a store behind a server builds upon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ratoon.entities import Page, Query
from ratoon.errors import InvalidInput
from ratoon.remote.connection import Connection

T = TypeVar("T")

MOST_IN_A_PAGE = 50_000


class RestPart:
    """A part of a store; all parts share one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.base!r})"


def paging(query: Query, most: int = MOST_IN_A_PAGE) -> dict[str, Any]:
    """The arguments that every search of the API takes.

    Raises:
        InvalidInput: The size of the page makes no sense.
    """
    if not 1 <= query.limit <= MOST_IN_A_PAGE:
        raise InvalidInput(f"page size {query.limit} is not allowed; give a number from 1 to {MOST_IN_A_PAGE}")
    found: dict[str, Any] = {"max_results": min(query.limit, most)}
    if query.filter:
        found["filter"] = query.filter
    if query.order_by:
        found["order_by"] = list(query.order_by)
    if query.page_token:
        found["page_token"] = query.page_token
    return found


def page_of(answer: dict[str, Any], key: str, convert: Callable[[Any], T]) -> Page[T]:
    """A page of an answer."""
    return Page(tuple(convert(each) for each in answer.get(key) or ()), answer.get("next_page_token") or None)


def every(search: Callable[[Query], Page[T]], query: Query) -> Iterator[T]:
    """Whatever fulfils a query, page after page."""
    page = search(query)
    yield from page.items
    while page.next_token:
        page = search(
            Query(
                filter=query.filter,
                order_by=query.order_by,
                view=query.view,
                limit=query.limit,
                page_token=page.next_token,
            )
        )
        yield from page.items
