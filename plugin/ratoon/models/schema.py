"""The columns and tensors that a signature is made of, and their JSON form in MLflow's MLmodel file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from msgspec import Struct, field

from ratoon.errors import Corrupt

COLUMN_TYPES = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")


class ColSpec(Struct, frozen=True, kw_only=True):
    """One column.

    Attributes:
        type: One of ``COLUMN_TYPES``; or MLflow's ``any``, ``array``, ``object``, ``map``, ``sparkml_vector``, which
            are kept and whose values are not looked into.
        name: None where all columns are told apart by their position only.
        required: Whether the column must be given, and an integer or boolean one without missing values.
        details: What MLflow writes beside the type of a nested column, such as ``items``.
    """

    type: str
    name: str | int | None = None
    required: bool = True
    details: dict[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """The JSON object that MLflow writes, keys in its order."""
        name = {} if self.name is None else {"name": self.name}
        return {"type": self.type, **self.details, **name, "required": self.required}


class TensorSpec(Struct, frozen=True, kw_only=True):
    """One array: numpy's name of its element type, and its shape with -1 for any length."""

    dtype: str
    shape: tuple[int, ...]
    name: str | None = None

    required: ClassVar[bool] = True

    def to_plain(self) -> dict[str, Any]:
        """The JSON object that MLflow writes, keys in its order."""
        name = {} if self.name is None else {"name": self.name}
        return {**name, "type": "tensor", "tensor-spec": {"dtype": self.dtype, "shape": list(self.shape)}}


class ParamSpec(Struct, frozen=True, kw_only=True):
    """A parameter that a model takes beside its data; ``shape`` is ``(-1,)`` for a list."""

    name: str
    type: str
    default: Any = None
    shape: tuple[int, ...] | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """The JSON object that MLflow writes, keys in its order."""
        shape = None if self.shape is None else list(self.shape)
        return {"name": self.name, "default": self.default, "shape": shape, "type": self.type, **self.details}


Schema: TypeAlias = tuple[ColSpec, ...] | tuple[TensorSpec, ...]


def schema_to_json(schema: Sequence[ColSpec] | Sequence[TensorSpec] | Sequence[ParamSpec] | None) -> str | None:
    """Write a schema byte for byte as MLflow does; None stays None."""
    return None if schema is None else json.dumps([spec.to_plain() for spec in schema])


def schema_from_json(text: str | None) -> Schema | None:
    """Read a schema of columns or tensors; None and the empty string mean that there is none.

    Raises:
        Corrupt: It is no such schema.
    """
    if not text:
        return None
    try:
        plain = json.loads(text)
        if all(item["type"] == "tensor" for item in plain):
            return tuple(_tensor(item) for item in plain)
        return tuple(_column(item) for item in plain)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable("columns or tensors", error) from error


def params_from_json(text: str | None) -> tuple[ParamSpec, ...] | None:
    """Read the parameters; None and the empty string mean that there are none.

    Raises:
        Corrupt: It is no list of parameters.
    """
    if not text:
        return None
    try:
        return tuple(_param(item) for item in json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _unreadable("parameters", error) from error


def _unreadable(what: str, error: Exception) -> Corrupt:
    return Corrupt(
        f"signature of the model cannot be read (no list of {what}: {type(error).__name__}); save the model again"
    )


def _column(item: Mapping[str, Any]) -> ColSpec:
    name, kind = item.get("name"), item["type"]
    if kind == "tensor" or not isinstance(kind, str) or not isinstance(name, str | int | None):
        raise ValueError("neither all columns nor all tensors")
    required = item.get("required")
    details = {key: value for key, value in item.items() if key not in ("type", "name", "required")}
    return ColSpec(type=kind, name=name, required=required is None or bool(required), details=details)


def _tensor(item: Mapping[str, Any]) -> TensorSpec:
    spec = item["tensor-spec"]
    return TensorSpec(dtype=str(spec["dtype"]), shape=tuple(int(n) for n in spec["shape"]), name=item.get("name"))


def _param(item: Mapping[str, Any]) -> ParamSpec:
    known = ("name", "type", "dtype", "default", "shape")
    return ParamSpec(
        name=str(item["name"]),
        type=str(item.get("type") or item["dtype"]),
        default=item["default"],
        shape=None if item.get("shape") is None else tuple(item["shape"]),
        details={key: value for key, value in item.items() if key not in known},
    )
