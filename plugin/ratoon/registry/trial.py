"""Trying a model out in a process of its own, which may crash or hang: does it load, does it answer, how fast?

Run as ``python -m ratoon.registry.trial REQUEST ANSWER``, two JSON files, this module is that process. Heavy libraries
are imported by the flavor that loads the model.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
from msgspec import Struct

from ratoon.errors import RatoonError

MODULE = "ratoon.registry.trial"
LONGEST_CAUSE = 300


class Request(Struct, frozen=True, kw_only=True):
    """What to try: the folder, what loading may run, how often to call."""

    folder: str
    trust: str | list[str] | None = None
    repeats: int = 5


class Trial(Struct, frozen=True, kw_only=True):
    """How it went: seconds to load and, as the median, to answer; or what went wrong."""

    loaded_in: float = 0.0
    answered_in: float = 0.0
    rows: int = 0
    fault: str | None = None


def try_out(request: Request, timeout: float) -> Trial:
    """Load a model in a process of its own and let it answer its input example.

    Args:
        request: What to try.
        timeout: Seconds until the process is stopped.
    """
    with tempfile.TemporaryDirectory(prefix="ratoon-trial-") as scratch:
        asked, answer, log = (Path(scratch) / name for name in ("request.json", "answer.json", "log"))
        asked.write_bytes(msgspec.json.encode(request))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(asked), str(answer)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                return Trial(fault=f"it did not load and answer within {timeout:g} s")
            finally:
                _stop(process)
        if answer.exists():
            return msgspec.json.decode(answer.read_bytes(), type=Trial)
        return Trial(fault=f"the process that loaded it {_ended(code)}{_last_line(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it started."""
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except OSError:  # all of them are gone
        pass
    process.wait()


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f" ({lines[-1][:LONGEST_CAUSE]})" if lines else ""


def main(asked: str, answer: str) -> None:
    """Be the process: read the request, write the answer at once and whole."""
    request = msgspec.json.decode(Path(asked).read_bytes(), type=Request)
    try:
        trial = _tried(request)
    except RatoonError as error:
        trial = Trial(fault=str(error))
    except Exception as error:  # a model may raise anything
        trial = Trial(fault=f"it failed: {type(error).__name__}: {error}"[:LONGEST_CAUSE])
    unfinished = Path(f"{answer}.part")
    unfinished.write_bytes(msgspec.json.encode(trial))
    unfinished.rename(answer)


def _tried(request: Request) -> Trial:
    from ratoon.manager import default_manager
    from ratoon.models.loading import load_folder
    from ratoon.registry.examples import read_example, row_count

    folder, manager = Path(request.folder), default_manager()
    start = perf_counter()
    model = load_folder(folder, manager=manager, trust=request.trust)
    loaded_in = perf_counter() - start
    example = read_example(folder, model.info, model.signature)
    if example is None:
        return Trial(fault="it has no input example that it could answer; log the model with input_example=")
    model.predict(example)  # the first call pays for what libraries prepare on use
    times = [_seconds(model.predict, example) for _ in range(request.repeats)]
    return Trial(loaded_in=loaded_in, answered_in=statistics.median(times), rows=row_count(example))


def _seconds(call: Callable[[Any], Any], argument: object) -> float:
    start = perf_counter()
    call(argument)
    return perf_counter() - start


if __name__ == "__main__":
    main(*sys.argv[1:])
