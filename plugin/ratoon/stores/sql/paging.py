"""Keyset page tokens: where a page ended, so that the next one costs the same however far behind it lies.

A token is bound to what was asked for: with another filter or order it would lead to a place that means nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ratoon.entities import Query
from ratoon.errors import InvalidInput

MOST_ITEMS = 50_000


def fingerprint(kind: str, query: Query, within: Sequence[object] = ()) -> str:
    """What a token is bound to: everything that was asked for, but for the size of the page."""
    asked = json.dumps([kind, query.filter, query.order_by, query.view, list(map(str, within))])
    return hashlib.blake2b(asked.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()


def encode_token(mark: str, key: Sequence[object]) -> str:
    """Make a token of the sort key that a page ends with."""
    # Python's JSON, because it keeps the infinities.
    return base64.urlsafe_b64encode(json.dumps([mark, *key], separators=(",", ":")).encode()).decode("ascii")


def decode_token(token: str, mark: str, types: Sequence[type]) -> list[Any]:
    """Read the sort key that a page ended with.

    Raises:
        InvalidInput: The token is not one of ours, or it was given for another query.
    """
    try:
        found = json.loads(base64.b64decode(token.encode("ascii"), b"-_", validate=True))
    except (AttributeError, UnicodeError, binascii.Error, ValueError, RecursionError) as error:
        raise InvalidInput("page token is not valid; take it from the last answer, unchanged") from error
    if not isinstance(found, list) or not found or found[0] != mark:
        raise InvalidInput("page token belongs to another search; ask for its next page with the same filter and order")
    values = found[1:]
    if len(values) != len(types) or not all(map(_fits, values, types)):
        raise InvalidInput("page token is not valid; take it from the last answer, unchanged")
    return values


def check_limit(limit: int, most: int = MOST_ITEMS) -> None:
    """Refuse a page size that makes no sense."""
    if not 1 <= limit <= most:
        raise InvalidInput(f"page size {limit} is not allowed; give a number from 1 to {most}")


def _fits(value: object, wanted: type) -> bool:
    if wanted is int:
        return type(value) is int and -(2**63) <= value < 2**63
    return isinstance(value, (float, int)) if wanted is float else isinstance(value, wanted)
