"""How single values, and values made of values, are brought into the form of a type without loss.

Python's own numbers have no width, so a type's width is a limit for integers only. Nothing that fits is copied.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date, datetime
from numbers import Integral, Real
from typing import Any

from ratoon.models.value_types import ValueType, is_missing

_LIMITS = {"integer": 2**31, "long": 2**63}
# The largest integer up to which a float of Python's counts every integer.
_EXACT = 2**53
_DATE_LENGTH = len("2020-01-01")


class Misfit(ValueError):
    """A value does not fit its type.

    Attributes:
        path: Where in the value that is, such as ``[].role``; empty for the value itself.
        expected: The type that it should have.
        given: What it has, in words that never repeat it.
    """

    def __init__(self, path: str, expected: str, given: str) -> None:
        super().__init__(f"{path}: expected {expected}, given {given}")
        self.path, self.expected, self.given = path, expected, given


def cast_value(value: Any, wanted: ValueType, path: str = "") -> Any:
    """Bring one value into the form of a type; missing ones stay as they are.

    Returns:
        The value itself where nothing has to be done.

    Raises:
        Misfit: It would be lost or changed.
    """
    kind = wanted["type"]
    if is_missing(value):
        return value
    if kind == "array" and "items" in wanted:
        return _cast_array(value, wanted["items"], path)
    if kind == "map" and "values" in wanted:
        return _cast_map(value, wanted["values"], path)
    if kind == "object" and "properties" in wanted:
        return _cast_object(value, wanted["properties"], path)
    cast = _SCALARS.get(kind)
    if cast is None:
        return value
    converted = cast(value, kind)
    if converted is None:
        raise Misfit(path, kind, describe(value))
    return converted


def describe(value: Any) -> str:
    """The type of a value in the words of signatures."""
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, list | tuple) or getattr(value, "ndim", None):
        return "array"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bytes | bytearray):
        return "binary"
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "boolean"
    if isinstance(value, Integral):
        return "long" if -(2**63) <= int(value) < 2**63 else "an integer of more than 64 bits"
    return "double" if isinstance(value, Real) else "nothing" if value is None else type(value).__name__


def _cast_array(value: Any, items: ValueType, path: str) -> Any:
    is_array = getattr(value, "ndim", None) not in (None, 0) and hasattr(value, "tolist")
    if not is_array and not isinstance(value, list | tuple):
        raise Misfit(path, "array", describe(value))
    plain = value.tolist() if is_array else value
    result = [cast_value(item, items, f"{path}[]") for item in plain]
    if all(new is old for new, old in zip(result, plain, strict=True)):
        return value
    return sys.modules["numpy"].asarray(result) if is_array else result


def _cast_map(value: Any, values: ValueType, path: str) -> Any:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise Misfit(path, "map", describe(value) if not isinstance(value, Mapping) else "keys that are no strings")
    return _changed(value, {key: cast_value(item, values, f"{path}{{}}") for key, item in value.items()})


def _cast_object(value: Any, properties: Mapping[str, ValueType], path: str) -> Any:
    if not isinstance(value, Mapping):
        raise Misfit(path, "object", describe(value))
    unknown = [name for name in value if name not in properties]
    if unknown:
        raise Misfit(f"{path}.{unknown[0]}", "no such property", describe(value[unknown[0]]))
    for name, spec in properties.items():
        # An empty list or dict has no type, and is what an example without the property's items had.
        if spec.get("required", True) and spec["type"] != "any" and is_missing(value.get(name)):
            raise Misfit(f"{path}.{name}", spec["type"], "nothing")
    return _changed(value, {name: cast_value(item, properties[name], f"{path}.{name}") for name, item in value.items()})


def _changed(value: Mapping[str, Any], result: dict[str, Any]) -> Mapping[str, Any]:
    return value if all(result[key] is value[key] for key in result) else result


def _boolean(value: Any, kind: str) -> Any:
    return value if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_") else None


def _integer(value: Any, kind: str) -> Any:
    fits = isinstance(value, Integral) and not isinstance(value, bool) and _within(value, _LIMITS[kind])
    return value if fits else None


def _within(value: Any, limit: int) -> bool:
    return -limit <= int(value) < limit


def _float(value: Any, kind: str) -> Any:
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    if isinstance(value, Integral) and abs(int(value)) > _EXACT:
        return None
    return float(value)


def _string(value: Any, kind: str) -> Any:
    return value if isinstance(value, str) else None


def _binary(value: Any, kind: str) -> Any:
    return value if isinstance(value, bytes | bytearray) else None


def _datetime(value: Any, kind: str) -> Any:
    if isinstance(value, date):
        return value
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.datetime64):
        # What Python's datetimes cannot hold stays what it is.
        exact = value.astype("M8[us]")
        return exact.item() if exact == value else value
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value) if len(value) == _DATE_LENGTH else datetime.fromisoformat(value)
    except ValueError:
        return None


_SCALARS = {
    "boolean": _boolean,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "string": _string,
    "binary": _binary,
    "datetime": _datetime,
}
