"""What a value that a pipeline made is worth recording as: metrics or a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import pluggy
from msgspec import Struct, field

from ratoon.hookspecs import hookimpl
from ratoon.models.flavors import GENERIC, registered_flavors


class Description(Struct, frozen=True, kw_only=True):
    """What a value is worth.

    Attributes:
        metrics: Figures by key; the key of a single number is empty, its name says all.
        model: The value itself, if it is a model that some flavor can save.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    model: object | None = None


def describe(manager: pluggy.PluginManager, name: str, value: object) -> Description | None:
    """Ask the plugins what a value is worth, then the flavors whether it is a model; None if nobody knows it.

    The generic flavor is not asked: that a value can be called or has a ``predict`` does not make it worth keeping.
    """
    answer: Description | None = manager.hook.describe_output(name=name, value=value)
    if answer is not None:
        return answer
    flavors = registered_flavors(manager)
    known = any(flavor.recognises(value) for key, flavor in flavors.items() if key != GENERIC)
    return Description(model=value) if known else None


@hookimpl
def describe_output(name: str, value: object) -> Description | None:
    """Numbers are metrics, and so is a flat mapping from names to nothing but numbers."""
    number = _number(value)
    if number is not None:
        return Description(metrics={"": number})
    if not isinstance(value, Mapping) or not value:
        return None
    numbers = {key: _number(each) for key, each in value.items() if isinstance(key, str)}
    if len(numbers) < len(value) or None in numbers.values():
        return None
    return Description(metrics={key: each for key, each in numbers.items() if each is not None})


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)
