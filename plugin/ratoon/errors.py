"""Every error that ratoon raises on purpose.

::

    RatoonError
    ├── InvalidInput             a value the caller gave cannot be used
    │   └── InvalidSetting       it came from a file, the environment or an argument of the settings
    ├── NotFound                 what was asked for is not there
    ├── AlreadyExists            a name that must be unique is taken
    ├── Conflict                 somebody else was faster: read again, then decide
    ├── PromotionRefused         a gate said no; the verdicts are attached
    ├── Corrupt                  stored bytes are not what was written
    ├── Untrusted                loading would run code that nobody allowed
    ├── MissingExtra             an optional dependency is not installed
    ├── PluginError              a plugin cannot be loaded or contradicts another one
    ├── DeploymentFailed         a target could not bring a model into service
    └── StoreError               a database or a disk did not do what it was asked
        └── StoreUnavailable     it cannot be reached, or takes nothing now; the same call may succeed later

A message reads ``<thing> 'name' <state> (<cause>); <what to do>``. The command line prints it on one line
and leaves with ``exit_code``: 2 for input that must be changed, 1 for everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratoon.entities import Verdict


class RatoonError(Exception):
    """Anything that ratoon raises on purpose."""

    exit_code = 1


class InvalidInput(RatoonError):
    """A value that the caller gave cannot be used as it is."""

    exit_code = 2


class InvalidSetting(InvalidInput):
    """A setting has a value that cannot be used; the message names key, value and source."""


class NotFound(RatoonError):
    """The experiment, run, model, version, alias or artifact is not there."""


class AlreadyExists(RatoonError):
    """The name is taken and must be unique."""


class Conflict(RatoonError):
    """A compare-and-set lost against somebody who was faster."""


class PromotionRefused(RatoonError):
    """At least one gate refused the promotion; nothing was moved."""

    def __init__(self, message: str, verdicts: Sequence[Verdict] = ()) -> None:
        super().__init__(message)
        self.verdicts = tuple(verdicts)


class Corrupt(RatoonError):
    """Stored bytes differ from the digest that was taken when they were written."""


class Untrusted(RatoonError):
    """Loading a model would run code that nobody allowed."""


class MissingExtra(RatoonError):
    """An optional dependency is needed and not installed."""

    def __init__(self, thing: str, extra: str, missing: str) -> None:
        super().__init__(f"{thing} needs the package {missing!r}; pip install 'ratoon[{extra}]'")


class PluginError(RatoonError):
    """A plugin cannot be loaded, misspells a hook or contradicts another plugin."""


class DeploymentFailed(RatoonError):
    """A deploy target could not bring a model into service or take it out."""


class StoreError(RatoonError):
    """A database or a disk did not do what it was asked."""


class StoreUnavailable(StoreError):
    """A store cannot be reached, or takes nothing now; the same call may succeed later."""
