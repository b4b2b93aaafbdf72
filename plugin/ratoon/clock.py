"""The one clock: milliseconds since the epoch, UTC, as MLflow's protocol counts them."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
