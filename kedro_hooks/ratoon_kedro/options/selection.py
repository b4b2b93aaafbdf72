"""Which names somebody wants: glob patterns to include and to exclude."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache

from msgspec import Struct


class Selection(Struct, frozen=True):
    """Names by glob patterns (``*``, ``?``, ``[…]``); case matters, and ``*`` goes beyond dots and slashes.

    Attributes:
        include: What is wanted; None for everything.
        exclude: What is not wanted, even if it is included.
    """

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether every name is wanted, so that nobody need be asked."""
        return self.include is None and not self.exclude

    def picks(self, name: str) -> bool:
        """Whether a name is wanted."""
        if self.include is not None and not (self.include and _compiled(self.include).match(name)):
            return False
        return not (self.exclude and _compiled(self.exclude).match(name))


EVERYTHING = Selection()
NOTHING = Selection(include=())


@lru_cache(maxsize=64)
def _compiled(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern) for pattern in patterns))
