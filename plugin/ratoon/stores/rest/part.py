"""What every part of a store behind a server builds upon."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from ratoon.entities import Page, Query
from ratoon.errors import InvalidInput
from ratoon.remote.connection import Connection
from ratoon.stores.fields import Fields
from ratoon.stores.rest.dialect import in_mlflow

T = TypeVar("T")

MOST_IN_A_PAGE = 50_000


class RestPart:
    """A part of a store; all parts share one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.base!r})"

    def _ask(self, fields: Fields, query: Query, within: Sequence[str] = (), *, most: int = MOST_IN_A_PAGE) -> Asked:
        """A query as the server reads it.

        Args:
            fields: What can be asked about what is searched.
            query: What is asked.
            within: Where it is searched, for what a page token is bound to.
            most: The largest page that the server gives.

        Raises:
            InvalidInput: The size of the page or its token makes no sense, or the query does to no server.
        """
        if not 1 <= query.limit <= MOST_IN_A_PAGE:
            raise InvalidInput(f"page size {query.limit} is not allowed; give a number from 1 to {MOST_IN_A_PAGE}")
        mark = ""
        if not self._connection.is_ratoon:  # whose tokens are a number of items, whatever was asked for
            mark = _mark(fields, query, within)
            token = _own_token(mark, query.page_token)
            query = msgspec.structs.replace(in_mlflow(fields, query), page_token=token)
        body: dict[str, Any] = {"max_results": min(query.limit, most)}
        given = {"filter": query.filter, "order_by": list(query.order_by), "page_token": query.page_token}
        return Asked(body | {key: value for key, value in given.items() if value}, mark)


class Asked(NamedTuple):
    """The arguments that every search of the API takes, and the mark of the tokens that belong to it."""

    body: dict[str, Any]
    mark: str

    def page(self, answer: dict[str, Any], key: str, convert: Callable[[Any], T]) -> Page[T]:
        """A page of an answer."""
        token = answer.get("next_page_token")
        items = tuple(convert(each) for each in answer.get(key) or ())
        return Page(items, f"{self.mark}{token}" if token else None)


def _mark(fields: Fields, query: Query, within: Sequence[str]) -> str:
    asked = repr((fields, query.filter, query.order_by, query.view, list(within)))
    return hashlib.blake2b(asked.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest() + "."


def _own_token(mark: str, token: str | None) -> str | None:
    if token and not token.startswith(mark):
        raise InvalidInput("page token belongs to another search; ask for its next page with the same filter and order")
    return token.removeprefix(mark) if token else None


def every(search: Callable[[Query], Page[T]], query: Query) -> Iterator[T]:
    """Whatever fulfils a query, page after page."""
    page = search(query)
    yield from page.items
    while page.next_token:
        page = search(msgspec.structs.replace(query, page_token=page.next_token))
        yield from page.items
