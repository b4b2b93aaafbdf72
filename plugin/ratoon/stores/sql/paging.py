"""Keyset page tokens: where a page ended, so that the next one costs the same however far behind it lies."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from ratoon.entities import Page
from ratoon.errors import InvalidInput

T = TypeVar("T")


def decode_token(token: str, types: tuple[type, ...]) -> list[Any]:
    """Read the sort key that a page ended with.

    Raises:
        InvalidInput: The token is not one of ours.
    """
    try:
        content = base64.urlsafe_b64decode(token.encode("ascii"))
        values = msgspec.json.decode(content, type=list[int | str])
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError) as error:
        raise InvalidInput("page token is not valid; take it from the last answer, unchanged") from error
    if tuple(map(type, values)) != types:
        raise InvalidInput("page token belongs to another listing; take it from the last answer, unchanged")
    return values


def page_of(items: Sequence[T], keys: Sequence[Sequence[int | str]], limit: int) -> Page[T]:
    """Make a page of ``limit`` items out of one more than that, which tells whether there is a next one."""
    if len(items) <= limit:
        return Page(tuple(items))
    token = base64.urlsafe_b64encode(msgspec.json.encode(list(keys[limit - 1]))).decode("ascii")
    return Page(tuple(items[:limit]), token)


def check_limit(limit: int, most: int = 50_000) -> None:
    """Refuse a page size that makes no sense."""
    if not 1 <= limit <= most:
        raise InvalidInput(f"page size {limit} is not allowed; give a number from 1 to {most}")
