"""The types of single values, and of values made of values, in the plain form of MLflow's signatures.

A type is the JSON object that MLflow writes: ``{"type": "long"}``, ``{"type": "array", "items": …}``,
``{"type": "object", "properties": …}``. numpy and pandas are not imported here; their values are known if they are
loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from numbers import Number
from typing import Any, TypeAlias

ValueType: TypeAlias = dict[str, Any]

ANY: ValueType = {"type": "any"}
NESTED = ("array", "object", "map")
NUMBERS = ("integer", "long", "float", "double")
_SCALARS = {bool: "boolean", int: "long", float: "double", str: "string", bytes: "binary", bytearray: "binary"}


class Unlike(ValueError):
    """Values have no type in common, or one has no type at all."""


def type_of(value: Any) -> ValueType:
    """The type of one value; ``any`` where it is missing or empty.

    Raises:
        Unlike: No type stands for it.
    """
    if is_missing(value) or (isinstance(value, list | tuple | dict) and not value):
        return ANY
    if isinstance(value, Mapping):
        return _object_type(value)
    if isinstance(value, list | tuple):
        return {"type": "array", "items": common_type(value)}
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _array_type(value)
    return {"type": scalar_type(value)}


def common_type(values: Iterable[Any]) -> ValueType:
    """The type that all values have, missing ones left out; ``any`` where all are missing.

    Whole numbers beside fractions are doubles. A property that an object lacks is optional.

    Raises:
        Unlike: There is none.
    """
    result: ValueType | None = None
    for value in values:
        kind = type_of(value)
        result = kind if result is None else merge(result, kind)
    return ANY if result is None else result


def scalar_type(value: Any) -> str:
    """The name of the type of a single value.

    Raises:
        Unlike: No type stands for it.
    """
    kind = _SCALARS.get(type(value))
    if kind == "long" and not -(2**63) <= value < 2**63:
        raise Unlike("an integer of more than 64 bits")
    if kind is None:
        dtype = getattr(value, "dtype", None)
        kind = "datetime" if isinstance(value, date) else dtype and fixed_type(dtype.kind, dtype.itemsize)
    if kind is None and isinstance(value, str | bytes):
        kind = "string" if isinstance(value, str) else "binary"
    if kind is None:
        raise Unlike(f"a value of type '{type(value).__name__}'")
    return str(kind)


def fixed_type(kind: str, size: int) -> str | None:
    """The type of numpy's elements of a kind and a size in bytes; None if there is none."""
    # An unsigned integer needs the next wider signed type; 64 unsigned bits fit nowhere.
    if kind in "iu":
        needed = size + 1 if kind == "u" else size
        return "integer" if needed <= 4 else "long" if needed <= 8 else None
    if kind == "f":
        return "float" if size <= 4 else "double" if size <= 8 else None
    return {"b": "boolean", "M": "datetime", "U": "string", "S": "binary"}.get(kind)


def merge(one: ValueType, other: ValueType) -> ValueType:
    """The narrowest type that stands for the values of both.

    Raises:
        Unlike: There is none.
    """
    kind, other_kind = one["type"], other["type"]
    if kind == "any" or other_kind == "any":
        return _optional(other if kind == "any" else one)
    if kind != other_kind:
        if kind in NUMBERS and other_kind in NUMBERS:
            return {"type": "long" if {kind, other_kind} == {"integer", "long"} else "double"}
        raise Unlike(f"{kind} beside {other_kind}")
    if kind == "array":
        return {"type": "array", "items": merge(one["items"], other["items"])}
    return _merge_objects(one["properties"], other["properties"]) if kind == "object" else one


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, and what pandas and numpy have for it."""
    if value is None:
        return True
    if isinstance(value, float | Decimal):
        return bool(value != value)
    if isinstance(value, str | int | list | dict):
        return False
    pandas = sys.modules.get("pandas")
    if pandas is not None and (value is pandas.NA or value is pandas.NaT):
        return True
    return getattr(value, "shape", None) == () and bool(value != value)


def is_single(value: Any) -> bool:
    """Whether it is one value rather than many: a number, a text, bytes or a datetime."""
    return isinstance(value, str | bytes | Number | date) or (
        getattr(value, "shape", None) == () and not hasattr(value, "__setitem__")
    )


def _object_type(value: Mapping[Any, Any]) -> ValueType:
    if not all(isinstance(name, str) for name in value):
        raise Unlike("a dict with keys that are no strings")
    types = {name: type_of(value[name]) for name in sorted(value)}
    return {"type": "object", "properties": {name: {**kind, "required": kind != ANY} for name, kind in types.items()}}


def _array_type(array: Any) -> ValueType:
    if array.ndim == 0:
        return type_of(array.item())
    element = fixed_type(array.dtype.kind, array.dtype.itemsize)
    if element is None:
        return {"type": "array", "items": common_type(array)}
    kind: ValueType = {"type": element}
    for _ in range(array.ndim):
        kind = {"type": "array", "items": kind}
    return kind if array.size else ANY


def _optional(kind: ValueType) -> ValueType:
    """An object that may be missing is one of which every property may be missing, to MLflow."""
    if kind["type"] != "object":
        return kind
    properties = {name: {**spec, "required": False} for name, spec in kind["properties"].items()}
    return {"type": "object", "properties": properties}


def _merge_objects(one: Mapping[str, ValueType], other: Mapping[str, ValueType]) -> ValueType:
    properties = {}
    for name in sorted({*one, *other}):
        here, there = one.get(name), other.get(name)
        if here is None or there is None:
            properties[name] = {**(here or there or ANY), "required": False}
        else:
            properties[name] = {**merge(_bare(here), _bare(there)), "required": here["required"] and there["required"]}
    return {"type": "object", "properties": properties}


def _bare(spec: ValueType) -> ValueType:
    return {key: value for key, value in spec.items() if key != "required"}
