"""ratoon for Kedro: ``pip install ratoon[kedro]``, ``kedro run``, and the run is tracked.

The class lives in :mod:`ratoon_kedro.plugin`, not in a module ``hooks``: importing such a module would put it in the
place of the attribute ``hooks``, which the entry point names. Nothing is imported before one of the two names is asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ratoon_kedro.plugin import RatoonHooks

    hooks: RatoonHooks

__all__ = ["RatoonHooks", "hooks"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ratoon_kedro.plugin import RatoonHooks

    # One instance for the whole process: pluggy knows a plugin again by its identity.
    globals().update(RatoonHooks=RatoonHooks, hooks=RatoonHooks())
    return globals()[name]
