"""What a policy says to a gate: read into the gate's own Struct, refused with a suggestion where it is misspelt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

import msgspec

from ratoon.errors import InvalidSetting
from ratoon.registry.contender import PromotionContext

T = TypeVar("T")

_UNKNOWN_FIELD = re.compile(r"unknown field `([^`]*)`")


class GateOptions(Mapping[str, Any]):
    """The options of each gate by its name. It remembers which names were asked for: no gate knows the others.

    Args:
        options: The options by name.
        source: Where they are written, for messages.
    """

    def __init__(self, options: Mapping[str, Any], source: str = "the policy") -> None:
        self._options = dict(options)
        self.source = source
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return self._options[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)

    def without(self, names: Iterable[str]) -> GateOptions:
        """The options of all gates but these."""
        left_out = set(names)
        return GateOptions({name: each for name, each in self._options.items() if name not in left_out}, self.source)

    def refuse_unasked(self) -> None:
        """Refuse a name that no gate asked for: what is misspelt must not be taken for agreement.

        Raises:
            InvalidSetting: There is one.
        """
        for name in self._options:
            if name not in self.asked:
                hint = suggestion(name, self.asked) or "install the plugin that provides it, or remove it"
                raise InvalidSetting(f"gate {name!r} in '{self.source}' is known to no plugin; {hint}")


def options_of(context: PromotionContext, gate: str, kind: type[T]) -> T | None:
    """What the policy says to a gate; None if it does not name it.

    Args:
        context: What the gate was called with.
        gate: The name under which the policy lists the gate.
        kind: A Struct with ``forbid_unknown_fields``, or a list of such.

    Raises:
        InvalidSetting: A key is unknown or a value has the wrong type.
    """
    given = context.options.get(gate)
    if given is None:
        return None
    where = f"gate {gate!r} in '{getattr(context.options, 'source', 'the policy')}'"
    return converted(given, kind, where, known=_fields(kind))


def converted(given: object, kind: type[T], where: str, *, known: Iterable[str]) -> T:
    """A value of a configuration file as its type.

    Raises:
        InvalidSetting: It does not fit; a key that looks like a known one is answered with that.
    """
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        unknown = _UNKNOWN_FIELD.search(str(error))
        listed = ", ".join(known)
        hint = (unknown and suggestion(unknown[1], known)) or f"known keys are {listed}"
        raise InvalidSetting(f"{where} cannot be used ({error}); {hint}") from error


def suggestion(name: str, known: Iterable[str]) -> str:
    """A question that names the nearest of the known names; empty if none is near."""
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _fields(kind: Any) -> tuple[str, ...]:
    (struct,) = get_args(kind) or (kind,)
    fields: tuple[str, ...] = struct.__struct_fields__
    return fields
