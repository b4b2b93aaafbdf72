"""What every listing that comes in pages must do, whatever it lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from ratoon.entities import Page, Query
from ratoon.errors import InvalidInput
from ratoon.stores.protocol import EVERYTHING

List = Callable[..., Page[Any]]

BAD_TOKENS = ("nonsense", "%%%", "é", "e30=", "W10=", "WyJ4IiwgMSwgMl0=", "W251bGxd", "WzEuNV0=")


def walk(
    listing: List, limit: int, between: Callable[[], object] = lambda: None, query: Query = EVERYTHING
) -> list[Any]:
    """Every item of a listing, page by page; ``between`` is called after each page but the last."""
    items: list[Any] = []
    token = None
    while True:
        page = listing(query=replace(query, limit=limit, page_token=token))
        assert 0 <= len(page.items) <= limit
        items += page.items
        if page.next_token is None:
            return items
        assert len(page.items) == limit, "a page that is not the last one is full"
        assert page.next_token != token, "a page ends behind the one before it"
        token = page.next_token
        between()


def check_refusals(listing: List) -> None:
    """Page sizes and tokens that make no sense are refused, whatever is stored."""
    for limit in (0, -1, 10**9):
        with pytest.raises(InvalidInput):
            listing(query=Query(limit=limit))
    for token in BAD_TOKENS:
        with pytest.raises(InvalidInput):
            listing(query=Query(limit=1, page_token=token))
