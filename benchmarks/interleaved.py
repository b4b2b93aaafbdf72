"""Timing that survives a busy machine: contestants take turns, the median of each one's figures is compared."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self, TypeVar

HERE = Path(__file__).parent
ROOT = HERE.parent
MLFLOW = ROOT / ".venv-mlflow" / "bin" / "python"
ROUNDS = 5

Figures = dict[str, float]
T = TypeVar("T")


class Row(NamedTuple):
    """One question with the figure of each answer, the smaller the better; None where a contestant has none.

    ``unit`` is one of :data:`UNITS`: seconds are shown as what they come to in a second where that reads better.
    """

    question: str
    mlflow: float | None
    ours: float
    limit: float | None
    unit: str = "seconds"

    @classmethod
    def of(cls, question: str, figures: Mapping[str, Figures], figure: str, unit: str = "seconds") -> Self:
        """One figure of each contestant, by its name."""
        found = {name: each[figure] for name, each in figures.items()}
        return cls(question, found.get("mlflow"), found["ours"], found.get("limit"), unit)


class Contestant:
    """A program that answers questions, in a process and an environment of its own.

    Args:
        python: The interpreter of its environment.
        script: The program's name in ``contestants/``; it is given a folder to work in.
        folder: That folder.
        arguments: What it is given beside the folder.
    """

    def __init__(self, python: str, script: str, folder: Path, *arguments: object) -> None:
        folder.mkdir(parents=True)
        self._script = script
        self._log = open(folder / "stderr.txt", "w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            [python, str(HERE / "contestants" / script), str(folder), *map(str, arguments)],
            cwd=folder,
            env=quiet_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def ask(self, question: str) -> Figures:
        """Its figures for a question, measured now."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"{question}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # why it ended is in what it wrote
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            sys.exit(f"{self._script} did not answer {question!r}:\n{self._log.read()[-3000:]}")
        found: Figures = json.loads(line)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()
        self._log.close()


def quiet_environment() -> dict[str, str]:
    """This environment without settings of either contestant; nothing is sent anywhere, and MLflow may do its best."""
    # Without Python's settings too: PYTHONDONTWRITEBYTECODE would let every start compile what uv installed.
    foreign = ("MLFLOW_", "RATOON_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "50",
        "DO_NOT_TRACK": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }


def arguments(
    description: str, rounds: int = ROUNDS, interpreters: Mapping[str, Path] = MappingProxyType({"mlflow": MLFLOW})
) -> argparse.Namespace:
    """What every script is told: an interpreter for each contestant that needs its own, and ``rounds``."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    for name, path in interpreters.items():
        parser.add_argument(f"--{name}", default=str(path), metavar="PYTHON", help=f"interpreter of '{name}'")
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each question is asked")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds is less than 1")
    for name in interpreters:
        if shutil.which(getattr(given, name)) is None:
            sys.exit(f"{getattr(given, name)} does not exist; run 'make bench', which makes what it needs")
    # Whoever is told to end must end what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return given


def in_turns(contestants: Mapping[str, Contestant], question: str, rounds: int) -> dict[str, Figures]:
    """The median of each contestant's figures for a question, by contestant."""
    return taking_turns(contestants, lambda contestant: contestant.ask(question), rounds)


def taking_turns(contestants: Mapping[str, T], measure: Callable[[T], Figures], rounds: int) -> dict[str, Figures]:
    """The median of what is measured of each contestant, by contestant; each has its turn once a round."""
    found: dict[str, list[Figures]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            found[name].append(measure(contestant))
    return {name: _medians(figures) for name, figures in found.items()}


def _medians(figures: Sequence[Figures]) -> Figures:
    """The median of each figure."""
    return {name: statistics.median(each[name] for each in figures) for name in figures[0]}


def cpu_of_python(python: str, code: str) -> float:
    """CPU seconds of a fresh interpreter that runs the code."""
    measured = (
        f"import resource, subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    done = subprocess.run([python, "-c", measured], capture_output=True, text=True, check=True, env=quiet_environment())
    return float(done.stdout)


def print_rows(title: str, rows: Iterable[Row]) -> None:
    """Print a table: MLflow's figure, ours, how often ours fits into it, the limit, and how far ours is from it."""
    print(f"\n{title:52} {'MLflow':>12} {'ratoon':>12} {'MLflow ÷':>9} {'limit':>12} {'÷ limit':>8}", flush=True)
    for question, mlflow, ours, limit, unit in rows:
        faster = f"{mlflow / ours:,.{0 if mlflow > 10 * ours else 1}f}×" if mlflow and ours > 0 else "–"
        slower = f"{ours / limit:.{2 if ours < 2 * limit else 1}f}×" if limit else "–"
        texts = ["–" if figure is None else UNITS[unit](figure) for figure in (mlflow, ours, limit)]
        print(f"{question:52} {texts[0]:>12} {texts[1]:>12} {faster:>9} {texts[2]:>12} {slower:>8}", flush=True)


def shown_time(seconds: float) -> str:
    """Seconds in a unit that fits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:,.2f} {unit}"
    return f"{seconds / 1e-6:,.2f} µs"


def shown_rate(seconds: float) -> str:
    """How many there are in a second, if each takes so long."""
    return f"{1 / seconds:,.0f} /s"


def shown_bandwidth(seconds: float) -> str:
    """Megabytes in a second, if a byte takes so long."""
    return f"{1e-6 / seconds:,.0f} MB/s"


def shown_memory(size: float) -> str:
    """Bytes as megabytes."""
    return f"{size / 1e6:,.0f} MB"


def shown_growth(factor: float) -> str:
    """A factor."""
    return f"{factor:,.1f}×"


UNITS: dict[str, Callable[[float], str]] = {
    "seconds": shown_time,
    "seconds each, as a rate": shown_rate,
    "seconds a byte, as bandwidth": shown_bandwidth,
    "bytes": shown_memory,
    "factor": shown_growth,
}
