"""A query in the words of MLflow's own server, which knows fewer of them than ratoon's.

What is asked for is read here first: so a mistake is answered with the character at which it lies, as everywhere. What
that server has no words for it refuses itself.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from ratoon.entities import Query
from ratoon.errors import InvalidInput
from ratoon.stores.fields import MODEL, Fields, comparisons_of, orderings_of
from ratoon.stores.grammar import Comparison, Ordering, wrong

_PLAIN = re.compile(r"[A-Za-z_]\w*")


def in_mlflow(fields: Fields, query: Query) -> Query:
    """The same query, as MLflow's server reads it.

    Raises:
        InvalidInput: It cannot be read, or asks for what there is not.
    """
    comparisons = comparisons_of(fields, query.filter)
    for each in comparisons:
        if fields is MODEL and (each.entity, each.key) == ("attribute", "status"):
            fault = "MLflow's server compares the status of a model with nothing"
            raise wrong("filter", query.filter, each.position, fault)
    orderings = orderings_of(fields, query.order_by)
    return msgspec.structs.replace(
        query,
        filter=" AND ".join(map(_comparison, comparisons)),
        order_by=tuple(f"{_field(each)} {'ASC' if each.ascending else 'DESC'}" for each in orderings),
    )


def _comparison(given: Comparison) -> str:
    return f"{_field(given)} {given.operator} {_value(given.value)}".rstrip()


def _field(given: Comparison | Ordering) -> str:
    if given.entity == "attribute":
        return given.key
    return f"{given.entity}s.{given.key if _PLAIN.fullmatch(given.key) else f'`{given.key}`'}"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}".removesuffix(".0")  # it reads no exponents with a sign
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))})"
    return "" if value is None else _text(str(value))


def _text(value: str) -> str:
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise InvalidInput(f"filter asks for {value!r:.80} (MLflow's server reads no text with both kinds of quotes)")
