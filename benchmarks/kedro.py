"""What tracking adds to a Kedro run of fifty nodes and two hundred parameters, beside no hooks and kedro-mlflow.

Run it with ``make bench``. Each contestant is an environment with the same Kedro, pandas and datasets: the limit has no
plugin, one has kedro-mlflow, one has ratoon. Both plugins write to a SQLite file. CPU of the process and of all that it
starts, the median of interleaved rounds.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from interleaved import ROOT, Contestant, Row, arguments, in_turns, print_rows

ENVIRONMENTS = {
    "limit": ROOT / ".venv-kedro" / "bin" / "python",
    "ours": ROOT / ".venv-kedro-ratoon" / "bin" / "python",
    "mlflow": ROOT / ".venv-kedro-mlflow" / "bin" / "python",
}
QUESTIONS = {
    "cold": "kedro run, a fresh process",
    "warm": "session.run in a process that has run before",
    "warm_quiet": "the same without Kedro's log",
    "version": "kedro --version",
}


def main() -> None:
    given = arguments(__doc__ or "", rounds=7, interpreters=ENVIRONMENTS)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        contestants = {
            key: stack.enter_context(Contestant(getattr(given, key), "kedro_project.py", Path(name, key)))
            for key in ENVIRONMENTS
        }
        for contestant in contestants.values():  # each makes its database, and compiles what was installed
            contestant.ask("cold")
        counts = {key: contestant.ask("tracked")["params"] for key, contestant in contestants.items()}
        if counts != {"limit": 0, "ours": 200, "mlflow": 200}:
            sys.exit(f"the first run tracked {counts} params; it should be 200 with a plugin and none without")
        rows = (
            Row.of(text, in_turns(contestants, question, given.rounds), "cpu") for question, text in QUESTIONS.items()
        )
        print_rows("Kedro, 50 nodes and 200 parameters: CPU", rows)


if __name__ == "__main__":
    main()
