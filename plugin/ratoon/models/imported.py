"""Which modules a pickle imports, and which of them belong to nobody but the user.

Pickles are looked through, never loaded. A module is the user's if it is neither Python's nor of an installed
distribution: a notebook's, a script's, a folder's that happens to be on the path.
"""

from __future__ import annotations

import pickletools
import sys
from collections import deque
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})


def names_in_pickle(content: bytes) -> list[str]:
    """The ``module.name`` of everything that a pickle looks up, sorted, as far as that can be told without running it.

    This is for people to read. Who wants to hide a name can: nothing may be allowed because of what is missing here.

    Raises:
        ValueError: It is no pickle.
    """
    found: set[str] = set()
    strings: deque[str] = deque(maxlen=2)
    memo: dict[int, Any] = {}
    latest: Any = None
    for opcode, argument, _ in pickletools.genops(content):
        name = opcode.name
        if name in ("GLOBAL", "INST"):
            found.add(str(argument).replace(" ", ".", 1))
        elif name == "STACK_GLOBAL":
            found.add(".".join(strings))
        elif name in _PUTS:
            memo[len(memo) if name == "MEMOIZE" else int(str(argument))] = latest
        elif name in _GETS or "UNICODE" in name:
            latest = memo.get(int(str(argument))) if name in _GETS else argument
            strings.append(latest if isinstance(latest, str) else "?")
        elif name != "FRAME":
            latest = None
    return sorted(found)


def modules_of_the_user(model: object) -> Iterator[ModuleType]:
    """The module in which a model's function or class is defined, and the package above it, if they are the user's."""
    defined = model if hasattr(model, "__qualname__") else type(model)
    name = getattr(defined, "__module__", None) or ""
    top = name.partition(".")[0]
    if name in sys.modules and _of_the_user({top}):
        yield sys.modules[name]
        if top in sys.modules and top != name:
            yield sys.modules[top]


def missing_at_load(path: Path) -> set[str]:
    """The top-level modules that a pickle imports and that no distribution brings."""
    return _of_the_user({name.partition(".")[0] for name in names_in_pickle(path.read_bytes())})


def _of_the_user(tops: set[str]) -> set[str]:
    # An editable install of ratoon lists no packages; cloudpickle writes what is in __main__ by value anyway.
    rest = tops - sys.stdlib_module_names - {"ratoon", "__main__", "?"}
    return rest - packages_distributions().keys() if rest else rest
