"""The parameters that a model takes beside its data: inferred from their defaults, enforced on each prediction."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from ratoon.errors import InvalidInput
from ratoon.models.schema import ParamSpec
from ratoon.models.value_casting import Misfit, cast_value
from ratoon.models.value_types import Unlike, ValueType, common_type, type_of
from ratoon.models.wording import listed

_FIXES = {
    "boolean": "true or false",
    "integer": "a whole number of 32 bits",
    "long": "a whole number of 64 bits",
    "float": "a number",
    "double": "a number",
    "string": "a string",
    "datetime": "a datetime, or one as ISO 8601",
    "object": "a dict of the form that the signature describes",
}


def infer_params(params: Mapping[str, Any]) -> tuple[ParamSpec, ...]:
    """Describe parameters by their defaults.

    Args:
        params: Numbers, strings, truth values, dates and datetimes, lists or arrays of one axis of these, or dicts.

    Raises:
        InvalidInput: A default is none of these, or an empty list.
    """
    return tuple(_described(str(name), _as_list(value)) for name, value in params.items())


def enforce_params(specs: Sequence[ParamSpec] | None, params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Complete parameters with the defaults of the signature; without one they pass as they are.

    Values are Python's own afterwards: what is a datetime in the signature is one for the model, too.

    Raises:
        InvalidInput: A parameter is unknown, is a list where a single value is wanted or the reverse, or has a type
            that would lose something.
    """
    if specs is None:
        return None if params is None else dict(params)
    given = {str(name): value for name, value in (params or {}).items()}
    known = {spec.name: spec for spec in specs}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InvalidInput(f"parameter {name!r} is unknown to the model; known are: {listed(known)}{hint}")
    return {
        name: _enforced(spec, given[name]) if name in given else _enforced(spec, copy.deepcopy(spec.default))
        for name, spec in known.items()
    }


def _described(name: str, value: Any) -> ParamSpec:
    is_list = isinstance(value, list | tuple)
    try:
        kind = common_type(value) if is_list else type_of(value)
        if kind["type"] in ("any", "array", "binary") or (is_list and kind["type"] == "object"):
            raise Unlike("no value" if kind["type"] == "any" else f"a value of type {kind['type']}")
        default = _plain([cast_value(item, kind) for item in value] if is_list else cast_value(value, kind))
        json.dumps(default)
    except (Unlike, Misfit, TypeError) as error:
        raise InvalidInput(
            f"parameter {name!r} cannot be described (its default is {error}); "
            "give a number, a string, a truth value, a datetime, a list of these, or a dict"
        ) from error
    details = {key: item for key, item in kind.items() if key != "type"}
    return ParamSpec(name=name, type=kind["type"], default=default, shape=(-1,) if is_list else None, details=details)


def _enforced(spec: ParamSpec, value: Any) -> Any:
    value = _as_list(value)
    if value is None:
        return None
    if isinstance(value, list | tuple) != (spec.shape is not None):
        wanted = "a single value" if spec.shape is None else "a list"
        raise InvalidInput(
            f"parameter {spec.name!r} has the wrong shape (given '{type(value).__name__}'); give {wanted}"
        )
    kind: ValueType = {"type": spec.type, **spec.details}
    try:
        if spec.shape is None:
            return _python(cast_value(value, kind))
        return [_python(cast_value(item, kind)) for item in value]
    except Misfit as error:
        where = f" at '{spec.name}{error.path}'" if error.path else ""
        raise InvalidInput(
            f"parameter {spec.name!r} has the wrong type{where} (expected {error.expected}, given {error.given}); "
            f"give {_FIXES.get(spec.type, spec.type)}{'' if spec.shape is None else ' for each'}"
        ) from None


def _as_list(value: Any) -> Any:
    """An array of numpy as a list of its values, which know their width."""
    return list(value) if getattr(value, "ndim", 0) else value


def _python(value: Any) -> Any:
    """Python's own value of one of numpy's; a datetime of numpy is left only where Python's cannot hold it."""
    if isinstance(value, list):
        return [_python(item) for item in value]
    return value.item() if hasattr(value, "item") and value.dtype.kind != "M" else value


def _plain(value: Any) -> Any:
    """The default as it is written: datetimes as ISO 8601."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else _python(value)
