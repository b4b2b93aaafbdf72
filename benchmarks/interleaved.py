"""Timing that survives a busy machine: contestants take turns, the median CPU time of each is compared."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """One question with the CPU seconds of each answer, per unit."""

    question: str
    ours: float
    limit: float


def cpu_of(work: Callable[[], object], units: int) -> float:
    """CPU seconds of all threads of this process for one unit of the work."""
    start = time.process_time()
    work()
    return (time.process_time() - start) / units


def cpu_of_python(code: str) -> float:
    """CPU seconds of a fresh interpreter that runs the code."""
    measured = (
        f"import resource, subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    return float(subprocess.run([sys.executable, "-c", measured], capture_output=True, text=True, check=True).stdout)


def take_turns(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of each contestant's figures, one figure a round, in turns."""
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, measure in contestants.items():
            figures[name].append(measure())
    return {name: statistics.median(found) for name, found in figures.items()}


def print_rows(rows: list[Row]) -> None:
    """Print CPU times and how far ours is from the limit."""
    print(f"{'':40} {'ratoon':>12} {'limit':>12} {'ratio':>7}")
    for row in rows:
        print(f"{row.question:40} {row.ours * 1e6:>9.1f} µs {row.limit * 1e6:>9.1f} µs {row.ours / row.limit:>6.1f}×")
