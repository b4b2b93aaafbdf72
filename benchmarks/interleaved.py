"""Timing that survives a busy machine: contestants take turns, the median of each one's figures is compared."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

HERE = Path(__file__).parent

Figures = dict[str, float]


class Row(NamedTuple):
    """One question with the seconds of each answer, per unit; None where a contestant has none."""

    question: str
    mlflow: float | None
    ours: float
    limit: float | None


class Contestant:
    """A program that answers questions, in a process and an environment of its own.

    Args:
        python: The interpreter of its environment.
        script: The program's name in ``contestants/``; it is given a folder to work in.
        folder: That folder.
    """

    def __init__(self, python: str, script: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        # Nothing is to be sent anywhere while it is measured, and no setting of this shell is to count.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RATOON_"))}
        self._log = open(folder / "stderr.txt", "w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [python, str(HERE / "contestants" / script), str(folder)],
            cwd=folder,
            env=kept | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def ask(self, question: str) -> Figures:
        """Its figures for a question, measured now."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{question}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise SystemExit(f"{question!r} was not answered:\n{self._log.read()[-3000:]}")
        found: Figures = json.loads(line)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()
        self._log.close()


def in_turns(contestants: Mapping[str, Contestant], question: str, rounds: int) -> dict[str, Figures]:
    """The median of each contestant's figures, by contestant; each answers once a round."""
    found: dict[str, list[Figures]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            found[name].append(contestant.ask(question))
    return {name: medians(figures) for name, figures in found.items()}


def medians(figures: list[Figures]) -> Figures:
    """The median of each figure."""
    return {name: statistics.median(each[name] for each in figures) for name in figures[0]}


def cpu_of_python(python: str, code: str) -> float:
    """CPU seconds of a fresh interpreter that runs the code."""
    measured = (
        f"import resource, subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    return float(subprocess.run([python, "-c", measured], capture_output=True, text=True, check=True).stdout)


def print_rows(rows: Iterable[Row]) -> None:
    """Print the table: MLflow's figure, ours, how often ours fits into it, the limit, and how far ours is from it."""
    print(f"{'':44} {'MLflow':>12} {'ratoon':>12} {'MLflow ÷':>9} {'limit':>12} {'÷ limit':>8}")
    for question, mlflow, ours, limit in rows:
        faster = f"{mlflow / ours:,.0f}×" if mlflow else "–"
        slower = f"{ours / limit:.1f}×" if limit else "–"
        print(f"{question:44} {shown(mlflow):>12} {shown(ours):>12} {faster:>9} {shown(limit):>12} {slower:>8}")


def shown(seconds: float | None) -> str:
    """Seconds in a unit that fits."""
    if seconds is None:
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:,.2f} {unit}"
    return f"{seconds / 1e-6:,.2f} µs"
