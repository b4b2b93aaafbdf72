"""Which values a sweep tries: ``int(1,20)``, ``float(0,1)``, ``log(1e-4,1e-1)``, ``choice(a,b)`` for each parameter."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from ratoon.errors import InvalidInput

FORMS = "int(1,20), int(0,100,step=10), intlog(1,1000), float(0,1), log(1e-4,1e-1) or choice(a,b)"

_FORM = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
_KEY = re.compile(r"[^\s,=]+")


class Range(Struct, frozen=True, kw_only=True, tag="range"):
    """Numbers between two others, both included.

    Attributes:
        low: The smallest.
        high: The largest.
        integer: Whether only whole numbers are tried.
        log: Whether each order of magnitude gets the same share.
        step: How far the numbers are apart; None for as near as can be.
    """

    low: float
    high: float
    integer: bool = False
    log: bool = False
    step: float | None = None


class Choice(Struct, frozen=True, kw_only=True, tag="choice"):
    """One of several values."""

    options: tuple[str | int | float | bool | None, ...]


Dimension = Range | Choice


def parse_space(texts: Sequence[str]) -> dict[str, Dimension]:
    """Read ``name=form`` texts, as ``--space`` takes them.

    Raises:
        InvalidInput: One cannot be read; the message names it and what would fit.
    """
    found: dict[str, Dimension] = {}
    for text in texts:
        name, equals, form = text.partition("=")
        name = name.strip()
        if not (equals and _KEY.fullmatch(name)):
            raise InvalidInput(f"space '{text}' names no parameter; write model.depth=int(1,20)")
        if name in found:
            raise InvalidInput(f"space of parameter '{name}' is given twice; leave one out")
        found[name] = parse_dimension(name, form)
    return found


def read_space(content: object, source: str) -> dict[str, Dimension]:
    """Read the ``space`` of a file: for each parameter a form as text, or a list to choose from.

    Raises:
        InvalidInput: It is something else; the message names the file and what would fit.
    """
    if not isinstance(content, Mapping):
        raise InvalidInput(f"setting 'space' in {source} is {content!r}; give a mapping of parameters to {FORMS}")
    found: dict[str, Dimension] = {}
    for name, value in content.items():
        if isinstance(value, list):
            found[str(name)] = _choice(str(name), value)
        else:
            found[str(name)] = parse_dimension(str(name), str(value))
    return found


def parse_dimension(name: str, text: str) -> Dimension:
    """Read one form; InvalidInput says what would fit."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise _refused(name, text, "it is no form")
    kind, items = form[1], [item.strip() for item in form[2].split(",")]
    if kind == "choice":
        return _choice(name, [read_value(item) for item in items if item])
    if kind not in ("int", "intlog", "float", "log"):
        raise _refused(name, text, f"'{kind}' is unknown")
    try:
        numbers = [float(item) for item in items if not item.startswith("step=")]
        steps = [float(item.removeprefix("step=")) for item in items if item.startswith("step=")]
    except ValueError:
        raise _refused(name, text, "its bounds are no numbers") from None
    problem = _problem(kind, numbers, steps)
    if problem:
        raise _refused(name, text, problem)
    integer, log = kind.startswith("int"), kind.endswith("log")
    return Range(low=numbers[0], high=numbers[1], integer=integer, log=log, step=steps[0] if steps else None)


def nested(values: Mapping[str, object]) -> dict[str, Any]:
    """Values by dotted name as Kedro's runtime parameters: mappings in mappings."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        inner = found
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    return found


def dotted(values: Mapping[Any, object], path: str = "") -> Iterator[tuple[str, Any]]:
    """The reverse: values by dotted name."""
    for name, value in values.items():
        key = f"{path}.{name}" if path else str(name)
        if isinstance(value, Mapping) and value:
            yield from dotted(value, key)
        else:
            yield key, value


def read_value(text: str) -> Any:
    """A value as Kedro reads it from ``--params``."""
    from omegaconf import OmegaConf

    try:
        value = OmegaConf.to_container(OmegaConf.from_dotlist([f"value={text}"]))
    except Exception:  # whatever YAML thinks of it, it is a text then
        return text
    return value["value"] if isinstance(value, dict) else text


def _problem(kind: str, numbers: Sequence[float], steps: Sequence[float]) -> str | None:
    if len(numbers) != 2 or len(steps) > 1:
        return "it takes two bounds"
    if not all(map(math.isfinite, (*numbers, *steps))):
        return "its bounds are not finite"
    low, high = numbers
    if low > high:
        return "its bounds are the wrong way round"
    if kind.startswith("int") and not all(number.is_integer() for number in (*numbers, *steps)):
        return "its bounds are no whole numbers"
    if kind.endswith("log"):
        return "it has no step" if steps else "its lower bound is not positive" if low <= 0 else None
    return "its step is not positive" if steps and steps[0] <= 0 else None


def _choice(name: str, options: Sequence[object]) -> Choice:
    if not options or not all(isinstance(each, (str, int, float, bool, type(None))) for each in options):
        raise _refused(name, f"choice{tuple(options)}", "it needs at least one option, and only plain values")
    return Choice(options=tuple(options))  # type: ignore[arg-type]


def _refused(name: str, text: str, why: str) -> InvalidInput:
    return InvalidInput(f"space '{text.strip()}' of parameter '{name}' cannot be used ({why}); give {FORMS}")
