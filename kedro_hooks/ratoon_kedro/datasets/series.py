"""Metrics in the forms in which nodes return them, and back: a number, a mapping, a history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

from ratoon.errors import InvalidInput

Points = list[tuple[int, float]]  # step, value


def points_of(name: str, value: Any) -> dict[str, Points]:
    """The points of each metric that a value stands for.

    Args:
        name: The metric's name, or what the names in a mapping begin with; may be empty for a mapping.
        value: A number; a list of numbers, which are the steps from 0 on; ``{"value": …, "step": …}`` or a list of
            these; a mapping from names to any of these or to further mappings; an array or a table whose columns are
            metrics.

    Raises:
        InvalidInput: It is none of these, or a number has no name.
    """
    if (number := _number(value)) is not None:
        return {_named(name): [(0, number)]}
    value = _plain(value)
    if isinstance(value, Mapping) and not _is_point(value):
        found: dict[str, Points] = {}
        for key, inner in value.items():
            found |= points_of(f"{name}.{key}" if name else str(key), inner)
        return found
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, (list, tuple)):
        return {_named(name): [_point(name, step, each) for step, each in enumerate(value)]}
    raise _refusal(name, value)


def _plain(value: Any) -> Any:
    """A table as a mapping of its columns, an array or a column as a list."""
    columns = getattr(value, "columns", None)
    if columns is not None and not isinstance(value, Mapping):
        return {str(column): list(value[column]) for column in columns}
    return value.tolist() if hasattr(value, "tolist") and not isinstance(value, Mapping) else value


def _point(name: str, step: int, value: Any) -> tuple[int, float]:
    if isinstance(value, Mapping) and _is_point(value):
        step, value = int(value.get("step", step)), value["value"]
    number = _number(value)
    if number is None:
        raise _refusal(name, value)
    return step, number


def _is_point(value: Mapping[Any, Any]) -> bool:
    return "value" in value and set(value) <= {"value", "step"}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
        return None
    return float(value)


def _named(name: str) -> str:
    if not name:
        raise InvalidInput("a single metric has no name (the dataset's prefix is empty); return it in a dict")
    return name


def _refusal(name: str, value: object) -> InvalidInput:
    return InvalidInput(
        f"metric {name!r} cannot be made from a value of type {type(value).__name__!r}; "
        "give numbers, lists of numbers, or a dict of these"
    )


def below(prefix: str, keys: Iterable[str]) -> dict[str, str]:
    """Which of a run's metrics stand under a prefix: their keys by what follows it, empty for the prefix itself."""
    if not prefix:
        return {key: key for key in keys if not key.startswith(("kedro/", "system/"))}
    return {
        key.removeprefix(prefix).removeprefix("."): key for key in keys if key == prefix or key.startswith(f"{prefix}.")
    }
