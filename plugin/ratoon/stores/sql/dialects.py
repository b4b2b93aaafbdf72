"""The few words in which SQLite and PostgreSQL differ, made equal: order, patterns, and long texts in indexes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, and_, collate, func, literal_column

_FIRST: ColumnElement[int] = literal_column("1")
_LENGTH: ColumnElement[int] = literal_column("100")


def by_code(connection: Connection, text: ColumnElement[Any]) -> ColumnElement[Any]:
    """A text that is ordered by its code points, as SQLite and Python do it."""
    return text if connection.dialect.name == "sqlite" else collate(text, "C")


def like(connection: Connection, text: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """Whether a text looks like a pattern, capital letters told from small ones; nothing escapes ``%`` and ``_``."""
    if connection.dialect.name == "sqlite":
        return text.op("GLOB", is_comparison=True)(_glob(pattern))
    return text.like(pattern, escape="")


def ilike(connection: Connection, text: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """The same, whether letters are capital or small; SQLite knows only the letters of ASCII."""
    if connection.dialect.name == "sqlite":
        return text.like(pattern)
    return text.ilike(pattern, escape="")


def equals(connection: Connection, text: ColumnElement[Any], values: tuple[str, ...]) -> ColumnElement[bool]:
    """Whether a text of a table of pairs is one of some; said so that its index is found."""
    found: ColumnElement[bool] = text == values[0] if len(values) == 1 else text.in_(values)
    if connection.dialect.name == "sqlite":
        return found
    beginnings = [value[:100] for value in values]
    return and_(found, func.substr(text, _FIRST, _LENGTH, type_=Text).in_(beginnings))


def _glob(pattern: str) -> str:
    return "".join({"%": "*", "_": "?"}.get(each, f"[{each}]" if each in "*?[" else each) for each in pattern)
