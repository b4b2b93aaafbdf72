"""The policy file: which gates judge the promotion of which model to which alias.

::

    # promotion.yml
    format: 1
    models:
      wine:                       # a name, or a pattern such as "fraud-*"
        champion:                 # an alias, or a pattern
          metrics:                # a gate, with what it takes
            - {metric: auc, minimum: 0.8, tolerance: 0.005}
          signature: {}

What is said for a name itself counts before what is said for a pattern, patterns count in the order of the file, and
the first that says something about the alias is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import yaml
from msgspec import Struct, field

from ratoon.errors import InvalidSetting
from ratoon.registry.options import GateOptions, converted
from ratoon.settings import Settings

FILE_NAME = "promotion.yml"
MAX_BYTES = 1024 * 1024

Gates = dict[str, Any]


class Policy(Struct, frozen=True, kw_only=True):
    """Gates by model and alias; an empty one demands nothing.

    Attributes:
        models: Names or patterns of models; in each, names or patterns of aliases; in each, gates and their options.
        source: The file that it was read from, for messages.
    """

    models: Mapping[str, Mapping[str, Gates]] = field(default_factory=dict)
    source: str = "the policy"

    def gates(self, name: str, alias: str) -> GateOptions:
        """What the gates are told when a model's alias is to move."""
        for section in _fitting(self.models, name):
            for gates in _fitting(section, alias):
                # A gate with nothing behind its name is a gate that takes its defaults.
                told = {gate: {} if options is None else options for gate, options in gates.items()}
                return GateOptions(told, self.source)
        return GateOptions({}, self.source)


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    models: dict[str, dict[str, Gates]]
    format: Literal[1] = 1


def policy_of(settings: Settings) -> Policy:
    """The policy that the settings name; else ``promotion.yml`` beside ``ratoon.toml``, if it is there."""
    path = settings.policy or settings.home.parent / FILE_NAME
    return load_policy(path) if settings.policy or path.exists() else Policy()


def load_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        InvalidSetting: It cannot be read, is no plain YAML, or says something that no policy says.
    """
    content = _parse(path, _read(path))
    file = converted(content, _File, f"policy file '{path}'", known=_File.__struct_fields__)
    return Policy(models=file.models, source=str(path))


def _fitting(sections: Mapping[str, Any], name: str) -> Iterable[Any]:
    if name in sections:
        yield sections[name]
    yield from (found for pattern, found in sections.items() if pattern != name and fnmatchcase(name, pattern))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InvalidSetting(f"policy file '{path}' is too large (more than {MAX_BYTES:,} bytes); shorten it")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"policy file '{path}' cannot be read ({error}); give one that can") from error


def _parse(path: Path, text: str) -> object:
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader that refuses more
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        cause = " ".join(str(error).split())
        raise InvalidSetting(f"policy file '{path}' is no plain YAML ({cause}); correct it") from error


class _StrictLoader(yaml.SafeLoader):
    """Plain YAML in which nothing is said twice: the second would win, and a gate be lost without a word."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # Aliases can blow up in memory: a few hundred bytes mean gigabytes.
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias; write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.YAMLError(f"{key.value!r} stands twice in line {key.start_mark.line + 1}")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)
