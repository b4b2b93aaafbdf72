"""Runtime parameters as ``kedro run --params`` reads them.

Kedro splits the option at every comma, each piece at its first equals sign, the key at its dots, and reads the rest as
YAML. So a text that has a comma is written with an escape, and a list with more than one entry in YAML's block style,
over several lines.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ratoon_kedro.recording.params import REDACTED, Redactor, join

_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*( [A-Za-z_/][\w./-]*)*")
# What YAML does not take for a text.
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"))


def params_option(params: Mapping[Any, Any], redactor: Redactor) -> tuple[str, list[str]]:
    """The value of ``--params`` that stands for these parameters, and the keys of those that it does not stand for.

    Args:
        params: Runtime parameters, nested as Kedro was given them.
        redactor: What takes secrets out; a parameter that lost something is among those that are missing.
    """
    shown = redactor.clean("", params)
    pieces = list(_pieces("", shown))
    option = ",".join(f"{key}={_scalar_or_block(value)}" for key, value in pieces)
    read = _as_kedro_reads(option)
    missing = sorted({key for key, value in _pieces("", params) if not _same(_found(read, key), value)})
    # What was read beside it would be another parameter than those that were given.
    return option, missing or ([] if _same(read, _plain(params)) else [key for key, _ in pieces])


def _pieces(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _pieces(join(path, name), inner)
    elif path:
        yield path, value


def _scalar_or_block(value: Any) -> str:
    if isinstance(value, (list, tuple)) and len(value) > 1:
        return _block(value, "\n")
    if isinstance(value, (list, tuple)) and value:
        inner = value[0]
        return _block(value, "\n") if isinstance(inner, (list, tuple, Mapping)) else f"[{_scalar(inner)}]"
    return _scalar(value)


def _block(value: Any, newline: str) -> str:
    """YAML without a comma, in lines that begin with ``newline``."""
    if isinstance(value, (list, tuple)) and value:
        return newline.join(f"- {_block(inner, newline + '  ')}" for inner in value)
    if isinstance(value, Mapping) and value:
        return newline.join(
            f"{_quoted(str(name))}:{_below(inner, newline)}{_block(inner, newline + '  ')}"
            for name, inner in value.items()
        )
    return _scalar(value)


def _below(value: Any, newline: str) -> str:
    return f"{newline}  " if isinstance(value, (list, tuple, Mapping)) and value else " "


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, (bool, int)):
        return json.dumps(value)
    if isinstance(value, float):
        return (
            json.dumps(value)
            if math.isfinite(value)
            else f"{value:+}".replace("+", "").replace("inf", ".inf").replace("nan", ".nan")
        )
    if isinstance(value, (Mapping, list, tuple)):
        return "{}" if isinstance(value, Mapping) else "[]"
    text = str(value)
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain or text == REDACTED else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace(",", "\\x2c")


def _as_kedro_reads(option: str) -> Any:
    """What Kedro makes of the option; None if it refuses it."""
    from omegaconf import OmegaConf

    pieces = [piece.strip() for piece in option.split(",") if piece.strip()]
    try:
        return OmegaConf.to_container(OmegaConf.from_dotlist(pieces))
    except Exception:  # errors of two libraries, and others by keys that they cannot hold
        return None


def _found(read: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(read, dict) or name not in read:
            return _NOTHING
        read = read[name]
    return read


_NOTHING = object()


def _plain(value: Any) -> Any:
    return {name: _plain(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types, at every depth."""
    if isinstance(one, dict) and isinstance(other, Mapping):
        return list(one) == list(other) and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and bool(one == other)
