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
# Of plural ones only those are that say what they open: `keys` and `stop_tokens` are columns and words.
_SECRET = re.compile(
    r"passw(or)?d|passphrase|secret|credential|conn(ection)?_?str(ing)?s?$|(^|_)authori[sz]ation"
    r"|(^|_)(token|key|auth|pwd|bearer|cookies?)$"
    r"|(^|_)(api|access|account|auth|bearer|refresh|session|security|private|ssh|sas|storage|shared|signing|master"
    r"|encryption|subscription|service|deploy|github|gitlab|slack|hf|jwt|oauth)_?(key|token)s?(_ids?)?$"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LEAVES = frozenset({int, float, bool, type(None)})
_URL = re.compile(r"""://[^\s"']+""")
_USER = re.compile(r"[^/?#@:]*:")
# What looks like a user and a password, but is a host and a port before a path.
_HOST = re.compile(r"(\[[^]/]*\](:\d{1,5})?|(localhost|[\w-]+(\.[\w-]+)+):\d{1,5})([/?#]|$)")
_AUTHORITY = re.compile(r"[^/?#]*@")
_QUERY = re.compile(r"""(?:(?<=[?&#])|(?<=&amp;))([\w.\-]{1,64})=((?:[^&#;\s"']|;(?!\w{1,40}=))+)""")
_SIGNATURE = re.compile(r"(^|_)sig(nature)?$")
_PAIR = re.compile(
    r"((?:account|access|api)[_ ]?key|shared[_ ]?access[_ ]?signature|client[_ ]?secret|passw(?:or)?d|pwd)"
    r"""([ \t]{0,3}=(?!=)[ \t]{0,3}\\?)(?!\[redacted\])("[^"\\]+|'[^'\\]+|\{[^}]+\}|[^;\s"']+)""",
    re.IGNORECASE,
)
_PAIR_WORDS = ("key", "signature", "secret", "passw", "pwd")  # to find none of these is much faster
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
        parts = (_snake(part) for part in key.split("."))
        return any(_SECRET.search(part) for part in parts) or any(pattern.search(key) for pattern in self._patterns)

    def clean(self, key: str, value: object) -> Any:
        """The value without secrets: by key at every depth, and without what URLs and connection strings tell."""
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
    """The text without secrets: ``user:password@`` and signatures of URLs, passwords and keys of connection strings."""
    if "://" in text:
        text = _URL.sub(_without_user, text)
    if "=" not in text:
        return text
    text = _QUERY.sub(_without_value, text)
    lowered = text.lower()
    return _PAIR.sub(_without_pair, text) if any(word in lowered for word in _PAIR_WORDS) else text


def _without_user(found: re.Match[str]) -> str:
    """The rest of a text from ``://`` to the next blank or quote; there may be further URLs in it."""
    rest = found[0]
    last = rest.rfind("@")
    begin = 0
    while (begin := rest.find("://", begin)) >= 0 and (begin := begin + 3) <= last:
        if _USER.match(rest, begin) and not _HOST.match(rest, begin):
            # A password may hold anything, also what should have been escaped.
            return f"{rest[:begin]}{REDACTED}{rest[last:]}"
        if authority := _AUTHORITY.match(rest, begin):
            end = authority.end() - 1
            rest = f"{rest[:begin]}{REDACTED}{rest[end:]}"
            last = rest.rfind("@")
    return rest


def _without_value(found: re.Match[str]) -> str:
    name = _snake(found[1])
    return f"{found[1]}={REDACTED}" if _SECRET.search(name) or _SIGNATURE.search(name) else found[0]


def _without_pair(found: re.Match[str]) -> str:
    quote = found[3][0] if found[3][0] in "\"'" else ""
    return f"{found[1]}{found[2]}{quote}{REDACTED}"


def _snake(name: str) -> str:
    return _CAMEL.sub("_", name).lower().replace("-", "_")


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
