"""How errors of ours are kept from breaking the user's run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ratoon.errors import StoreError
from ratoon_kedro.context import RunContext
from ratoon_kedro.describing.run_folder import is_first

REMEMBERED = 64  # runs

logger = logging.getLogger(__name__)

# Causes that were told, by run: each is told once, whatever else fails by it, and that a store does not work, too.
_told: dict[str, set[str]] = {}


@contextmanager
def guard(doing: str, context: RunContext | None) -> Iterator[None]:
    """Keep an error from breaking the user's run: one warning for each, unless the project asks for ``strict``."""
    try:
        yield
    except Exception as error:
        if context is not None and context.strict:
            raise
        message = f"ratoon could not {doing} ({type(error).__name__}: {error}); the pipeline goes on"
        cause = "StoreError" if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
        level = logging.WARNING if context is None or _is_new(context, cause) else logging.DEBUG
        logger.log(level, "%s", message)
        logger.debug("the cause:", exc_info=True)


def _is_new(context: RunContext, cause: str) -> bool:
    told = _told.setdefault(context.run_id, set())
    if len(_told) > REMEMBERED:
        del _told[next(iter(_told))]
    if cause in told:
        return False
    told.add(cause)
    return context.folder is None or is_first(context.folder, cause)
