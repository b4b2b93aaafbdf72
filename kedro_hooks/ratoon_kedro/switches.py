"""What decides whether there is anything to do, before anything is imported."""

from __future__ import annotations

import os
from typing import Any

# Where the run's context travels in the catalog.
CATALOG_KEY = "_ratoon_run"

_OFF = ("0", "false", "no", "off")


def switched_off() -> bool:
    """Whether the environment variable ``RATOON_KEDRO`` turns everything off."""
    return os.environ.get("RATOON_KEDRO", "").strip().lower() in _OFF


def is_tracked(catalog: Any) -> bool:
    """Whether the catalog belongs to a run that is tracked."""
    # Not `in catalog`: a factory pattern that catches everything would match.
    return CATALOG_KEY in catalog.keys()
