"""Small values that are no metrics, as JSON documents: nested mappings, lists, texts."""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

LARGEST = 64 * 1024  # characters of a document
_DEEPEST = 32
_TEXTS = (datetime.date, datetime.time, datetime.timedelta, PurePath, UUID, Decimal)


class _Foreign(Exception):
    """Something has no place in a document."""


def document_of(value: object) -> Any:
    """A copy of a text, a list or a mapping that JSON can hold; None for anything else, or if it is too large.

    It costs no more for a huge value than for one of :data:`LARGEST` characters.
    """
    if not isinstance(value, (str, list, tuple, Mapping)) or not value:
        return None
    try:
        return _Copy().of(value, 0)
    except _Foreign:
        return None


class _Copy:
    """Copies a value, and counts what it has written so far."""

    def __init__(self) -> None:
        self.left = LARGEST

    def of(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            self.spend(len(value) + 2)
            return str(value)
        if value is None or isinstance(value, bool):
            self.spend(4)
            return value
        if depth > _DEEPEST:
            raise _Foreign
        if isinstance(value, Mapping):
            return {self.key(key): self.of(each, depth + 1) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.of(each, depth + 1) for each in value]
        return self.single(value, depth)

    def key(self, key: object) -> str:
        if not isinstance(key, (str, int, float)):
            raise _Foreign
        self.spend(4)
        return str(self.of(key, _DEEPEST))

    def single(self, value: Any, depth: int) -> Any:
        if isinstance(value, (int, float)):
            self.spend(8)
            if isinstance(value, int):
                if value.bit_length() > 1024:
                    raise _Foreign
                return int(value)
            return float(value) if math.isfinite(value) else None  # JSON has no word for it
        if isinstance(value, _TEXTS):
            return self.of(str(value), depth)
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, (numpy.generic, numpy.ndarray)) and value.dtype.kind in "biufU":
            self.spend(value.size)
            return self.of(value.tolist(), depth + 1)
        raise _Foreign

    def spend(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise _Foreign
