"""The parameters that nodes received, as flat text: ``model.depth`` -> ``"4"``, with secrets taken out."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"
_MOST_KNOWN = 10_000  # keys of which is kept in memory what was found out about them
LONGEST = 6000  # characters of a value that every store holds

# Read against each part of a key in snake case: `max_tokens`, `tokenizer` and `monkey` are not secrets.
_SECRET = re.compile(r"passw(or)?d|passphrase|secret|credential|(^|_)(token|key|auth|pwd)$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LEAVES = frozenset({int, float, bool, type(None)})
_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_FOREIGN = re.compile(r"[^\w\-. :/]")


class Redactor:
    """Knows which keys hide a secret.

    Args:
        patterns: Regular expressions that are searched in the whole dotted key, beside the built-in ones.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._patterns = tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)
        self._known: dict[str, bool] = {}

    def hides(self, key: str) -> bool:
        """Whether the value under such a dotted key must not be recorded."""
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = self._looks_secret(key)
        return known

    def _looks_secret(self, key: str) -> bool:
        parts = (_CAMEL.sub("_", part).lower().replace("-", "_") for part in key.split("."))
        return any(_SECRET.search(part) for part in parts) or any(pattern.search(key) for pattern in self._patterns)

    def clean(self, key: str, value: object) -> Any:
        """The value without secrets: by key at every depth, and without the user of an URL in any text."""
        if self.hides(key):
            return REDACTED
        if type(value) in _LEAVES:
            return value
        if (fields := _fields(value)) is not None:
            return {name: self.clean(join(key, name), inner) for name, inner in fields.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.clean(key, inner) for inner in value]
        return without_userinfo(value) if isinstance(value, str) else value


def received_params(inputs: Mapping[str, object], redactor: Redactor) -> dict[str, str]:
    """The parameters among a node's inputs, flattened with dots, in the order in which the node takes them."""
    found: dict[str, str] = {}
    for name, value in inputs.items():
        if name == "parameters":
            found.update(flatten("", value, redactor))
        elif name.startswith("params:"):
            found.update(flatten(name.removeprefix("params:"), value, redactor))
    return found


def flatten(key: str, value: object, redactor: Redactor) -> dict[str, str]:
    """One entry for each leaf of a parameter; mappings, dataclasses and pydantic models are branches."""
    return {safe_key(path): _text(leaf) for path, leaf in _leaves(key, redactor.clean(key, value))}


def join(path: str, name: object) -> str:
    """The dotted key of what lies under ``path`` by this name."""
    return f"{path}.{name}" if path else str(name)


def is_param(dataset_name: str) -> bool:
    """Whether Kedro holds a parameter, not data, under this name."""
    return dataset_name == "parameters" or dataset_name.startswith("params:")


@lru_cache(maxsize=4096)
def safe_key(name: str) -> str:
    """The name with every character that a store refuses replaced by an underscore."""
    name = _FOREIGN.sub("_", name)
    return "/".join(part if part.strip(".") else "_" for part in name.split("/"))[:250]


def safe_part(name: str) -> str:
    """The name as one part of a path, with every character that a path or a store has a use for replaced."""
    return safe_key(name).replace("/", "_").replace(":", "_")[:200].strip(".") or "_"


def without_userinfo(text: str) -> str:
    """The text with ``user:password@`` taken out of every URL in it."""
    return _USERINFO.sub(REDACTED, text)


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(join(path, name), inner)
    elif path:
        yield path, value


def _fields(value: object) -> Mapping[Any, object] | None:
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    names = getattr(type(value), "model_fields", None)  # pydantic, told apart without importing it
    if isinstance(names, Mapping):
        return {name: getattr(value, name) for name in names}
    return None


def _text(value: object) -> str:
    text = json.dumps(value, default=str) if isinstance(value, (list, dict)) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 40]}… ({len(text)} characters)"
