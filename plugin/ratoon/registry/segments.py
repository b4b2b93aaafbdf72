"""Metrics of a part of the data: how their keys are written and read, the same for all who log and all who judge.

A segment is the rows in which a column has a value. Its metrics are logged beside those of the whole data under
``segment/<column>/<value>/<metric>``: ``segment/region/north/auc`` is the ``auc`` of the rows in which ``region`` is
``north``. ``segment/<column>/<value>/rows`` says how many rows these are.

Keys of metrics hold few characters. In column and value, what is neither a letter, a digit, a space nor one of
``_ - .`` is written as its code point in hexadecimal between colons (``a/b`` as ``a:2f:b``), an empty text as ``::``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

PREFIX = "segment"
ROWS = "rows"

_UNSAFE = re.compile(r"[^\w\-. ]")
_ESCAPE = re.compile(r":([0-9a-f]*):")
_DOTTED = re.compile(r"\.{1,2}")


class Segment(NamedTuple):
    """The rows in which a column has a value."""

    column: str
    value: str

    def __str__(self) -> str:
        return f"{self.column}={self.value}"


def segment_key(column: object, value: object, metric: str) -> str:
    """The key under which a metric of a segment is logged.

    Args:
        column: The column's name.
        value: What it holds in all rows of the segment; of what is no text, ``str`` of it.
        metric: The metric's own key, ``rows`` for the number of rows.
    """
    return "/".join((PREFIX, _escaped(str(column)), _escaped(str(value)), metric))


def parse_segment_key(key: str) -> tuple[Segment, str] | None:
    """The segment and the metric that a key names; None for the key of any other metric."""
    parts = key.split("/", 3)
    if len(parts) < 4 or parts[0] != PREFIX:
        return None
    return Segment(_plain(parts[1]), _plain(parts[2])), parts[3]


def segments_of(metrics: Mapping[str, float]) -> dict[Segment, dict[str, float]]:
    """The metrics of each segment, by their own keys."""
    found: dict[Segment, dict[str, float]] = {}
    for key, value in metrics.items():
        parsed = parse_segment_key(key)
        if parsed is not None:
            segment, metric = parsed
            found.setdefault(segment, {})[metric] = value
    return found


def _escaped(text: str) -> str:
    if not text:
        return "::"
    unsafe = re.compile(r".", re.DOTALL) if _DOTTED.fullmatch(text) else _UNSAFE
    return unsafe.sub(lambda found: f":{ord(found[0]):x}:", text)


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", text)
