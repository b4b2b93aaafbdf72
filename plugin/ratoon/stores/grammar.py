"""MLflow's filter language, read into comparisons: ``metrics.auc > 0.9 AND params."max depth" = '3'``.

::

    filter      = comparison { "AND" comparison }
    comparison  = field operator value
                | field ("IN" | "NOT IN") "(" string { "," string } ")"
                | field ("IS NULL" | "IS NOT NULL")
    field       = [ entity "." ] name      a name with other characters than letters, digits and _ - . / is
                                           quoted: "max depth" or `max depth`
    operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | "LIKE" | "ILIKE"
    value       = number | string          a string stands in single or double quotes

Source: MLflow's ``search_utils``; its documentation is at https://mlflow.org/docs/latest/search-runs.html. Which fields
there are, and what they may be compared with, is said in :mod:`ratoon.stores.fields`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from msgspec import Struct

from ratoon.entities import MeasuredOn
from ratoon.errors import InvalidInput

# A filter is read in one pass, but a query with more terms than this would occupy a database for nothing.
MOST_COMPARISONS = 100
MOST_ORDERINGS = 20
LONGEST_TEXT = 100_000

OPERATORS = ("=", "!=", "<=", "<", ">=", ">", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL")

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<word>[^\W\d][\w\-./]*)
      | (?P<quoted>'(?:[^']|'')*'|"[^"]*"|`[^`]*`)
      | (?P<operator><=|>=|!=|=|<|>)
      | (?P<mark>[.,()])""",
    re.VERBOSE,
)

Value = float | str | tuple[str, ...] | None


class Comparison(Struct, frozen=True, kw_only=True):
    """One comparison of a filter.

    Attributes:
        entity: What stands before the dot, in lower case; empty where there is none.
        key: The name, without its quotes.
        operator: One of :data:`OPERATORS`.
        value: A number, a string, the strings of a list, or None after ``IS``.
        position: Where it begins, in characters from the start of the filter.
    """

    entity: str
    key: str
    operator: str
    value: Value = None
    position: int = 0


class Ordering(Struct, frozen=True, kw_only=True):
    """One term of an order: a field, whether the smallest comes first, and the dataset of a metric if it matters."""

    entity: str
    key: str
    ascending: bool = True
    dataset: MeasuredOn | None = None


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse_filter(text: str) -> tuple[Comparison, ...]:
    """Read a filter; an empty one has no comparisons.

    Raises:
        InvalidInput: It cannot be read; the message shows the character at which it went wrong.
    """
    if not text or not text.strip():
        return ()
    reader = _Reader("filter", text)
    found = [reader.comparison()]
    while not reader.at_end():
        reader.keyword("AND")
        found.append(reader.comparison())
        if len(found) > MOST_COMPARISONS:
            raise InvalidInput(f"filter has more than {MOST_COMPARISONS} comparisons; ask for less at once")
    return tuple(found)


def parse_order(terms: Sequence[str]) -> tuple[Ordering, ...]:
    """Read terms such as ``metrics.auc DESC``; the order is ascending unless it says otherwise.

    Raises:
        InvalidInput: A term cannot be read.
    """
    if len(terms) > MOST_ORDERINGS:
        raise InvalidInput(f"order has {len(terms)} terms; {MOST_ORDERINGS} are allowed")
    return tuple(_Reader("order", term).ordering() for term in terms)


def quoted(text: str) -> str:
    """A text as a value of a filter."""
    return "'" + text.replace("'", "''") + "'"


def wrong(what: str, text: str, position: int, fault: str) -> InvalidInput:
    """The error that points at a character: it is the first one behind the mark ``>>>``."""
    before = text[max(0, position - 30) : position]
    behind = text[position : position + 20]
    example = "metrics.auc > 0.9 AND params.depth = '3'" if what == "filter" else "metrics.auc DESC"
    shown = repr(f"{before}>>>{behind}")
    return InvalidInput(f"{what} is wrong at character {position + 1}, {shown} ({fault}); write for example {example}")


class _Reader:
    """The tokens of a text, read from left to right."""

    def __init__(self, what: str, text: str) -> None:
        if not isinstance(text, str):
            raise InvalidInput(f"{what} is {text!r}; give a string")
        if len(text) > LONGEST_TEXT:
            raise InvalidInput(f"{what} has {len(text)} characters; {LONGEST_TEXT} are allowed")
        self._what = what
        self._text = text
        self._tokens = self._tokenize()
        self._next = 0

    def at_end(self) -> bool:
        return self._ahead().kind == "end"

    def keyword(self, word: str) -> None:
        if not self._take_word(word):
            self._expected(word)

    def comparison(self) -> Comparison:
        position = self._ahead().position
        entity, key = self._field()
        operator = self._operator()
        value: Value
        if operator in ("IS NULL", "IS NOT NULL"):
            value = None
        elif operator in ("IN", "NOT IN"):
            value = self._list()
        else:
            value = self._value()
        return Comparison(entity=entity, key=key, operator=operator, value=value, position=position)

    def ordering(self) -> Ordering:
        entity, key = self._field()
        descending = self._take_word("DESC")
        if not descending:
            self._take_word("ASC")
        if not self.at_end():
            self._expected("ASC, DESC or the end")
        return Ordering(entity=entity, key=key, ascending=not descending)

    def _ahead(self) -> _Token:
        return self._tokens[self._next]

    def _field(self) -> tuple[str, str]:
        token = self._ahead()
        if token.kind == "quoted" and not token.text.startswith("'"):
            self._next += 1
            return "", token.text[1:-1]
        if token.kind != "word":
            self._expected("a field such as metrics.auc")
        self._next += 1
        entity, dot, key = token.text.partition(".")
        if not dot:
            return "", entity
        return entity.lower(), key or self._quoted_key()

    def _quoted_key(self) -> str:
        """The key behind ``metrics.``, which is not a plain word."""
        token = self._ahead()
        if token.kind != "quoted" or token.text.startswith("'"):
            self._expected(
                "a name, in double quotes or backticks where it has other characters than letters and digits"
            )
        self._next += 1
        return token.text[1:-1]

    def _operator(self) -> str:
        token = self._ahead()
        if token.kind == "operator":
            self._next += 1
            return token.text
        for operator in OPERATORS:
            words = operator.split()
            ahead = self._tokens[self._next : self._next + len(words)]
            if words == [each.text.upper() for each in ahead]:
                self._next += len(words)
                return operator
        self._expected("an operator (" + ", ".join(OPERATORS) + ")")

    def _value(self) -> float | str:
        token = self._ahead()
        if token.kind == "number":
            self._next += 1
            return float(token.text)
        return self._string("a number or a 'string' in quotes")

    def _string(self, expected: str = "a 'string' in quotes") -> str:
        token = self._ahead()
        if token.kind != "quoted" or token.text.startswith("`"):
            self._expected(expected)
        self._next += 1
        return token.text[1:-1].replace("''", "'") if token.text.startswith("'") else token.text[1:-1]

    def _list(self) -> tuple[str, ...]:
        self._mark("(")
        found = [self._string()]
        while self._ahead().text == ",":
            self._next += 1
            if self._ahead().text == ")":  # Python's repr of a tuple with one item ends in a comma
                break
            found.append(self._string())
        self._mark(")")
        return tuple(found)

    def _mark(self, mark: str) -> None:
        if self._ahead().text != mark:
            self._expected(repr(mark))
        self._next += 1

    def _take_word(self, word: str) -> bool:
        token = self._ahead()
        found = token.kind == "word" and token.text.upper() == word
        self._next += found
        return found

    def _tokenize(self) -> list[_Token]:
        tokens, position = [], 0
        while position < len(self._text):
            match = _TOKEN.match(self._text, position)
            if match is None:
                raise wrong(self._what, self._text, position, self._unreadable(position))
            kind = match.lastgroup or ""
            if kind != "space":
                tokens.append(_Token(kind, match.group(), position))
            position = match.end()
        return [*tokens, _Token("end", "", len(self._text))]

    def _unreadable(self, position: int) -> str:
        character = self._text[position]
        return "this quote is never closed" if character in "'\"`" else f"{character!r} is not allowed here"

    def _expected(self, what: str) -> NoReturn:
        token = self._ahead()
        found = "the end" if token.kind == "end" else repr(token.text[:40])
        hint = "; OR and brackets are not supported" if token.text.upper() in ("OR", "(") else ""
        raise wrong(self._what, self._text, token.position, f"{what} is expected, not {found}{hint}")
