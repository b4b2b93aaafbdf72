"""What a tracked run says about how to repeat it, and whether a repetition gave the same."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from ratoon.entities import Run
from ratoon.errors import InvalidInput, NotFound
from ratoon_kedro.describing.patching import COMMIT, DIRTY
from ratoon_kedro.describing.tags import INCOMPLETE
from ratoon_kedro.recording.params import REDACTED

REPLAY_OF = "ratoon.replay_of"
_PARAMETER = re.compile(r"parameter '(.*)'")
COMMANDS = ("kedro.command", "ratoon.command")

# What is measured about the machine rather than about the model is never the same twice.
_OF_THE_MACHINE = ("kedro/seconds/", "system/")


class Recorded(Struct, frozen=True, kw_only=True):
    """How a run was made.

    Attributes:
        run: The run.
        words: Its command, from ``kedro`` on.
        commit: The commit of its code; None if it was not in a repository.
        dirty: Whether tracked files had changes beside it.
    """

    run: Run
    words: tuple[str, ...]
    commit: str | None
    dirty: bool


def recorded(run: Run, params: Mapping[str, str]) -> Recorded:
    """Read how a run was made.

    Args:
        run: The run.
        params: Values by dotted key that take the place of recorded ones, for secrets above all.

    Raises:
        NotFound: The run was not made by a ``kedro run``.
        InvalidInput: Values were taken out when the command was recorded, and are not given.
    """
    command = next((run.tags[tag] for tag in COMMANDS if run.tags.get(tag, "").startswith("kedro run")), None)
    if command is None:
        raise NotFound(f"run '{run.run_id}' has no 'kedro run' recorded that could be repeated; name another run")
    words = with_params(shlex.split(command), params)
    secret = {key for key, value in _assignments(words) if REDACTED in value}
    lost = [each for each in run.tags.get(INCOMPLETE, "").split("; ") if each]
    secret |= {found[1] for each in lost if (found := _PARAMETER.fullmatch(each)) and found[1] not in params}
    if secret:
        wanted = ",".join(f"{key}=…" for key in sorted(secret))
        raise InvalidInput(
            f"run '{run.run_id}' cannot be repeated as it is recorded (its command does not tell every parameter;"
            f" secrets are taken out); give --params '{wanted}'"
        )
    if other := [each for each in lost if not _PARAMETER.fullmatch(each)]:
        raise InvalidInput(
            f"run '{run.run_id}' cannot be repeated (its command does not tell {', '.join(other)}); start it by hand"
        )
    return Recorded(
        run=run, words=tuple(words), commit=run.tags.get(COMMIT) or None, dirty=run.tags.get(DIRTY) == "true"
    )


def with_params(words: Sequence[str], params: Mapping[str, str]) -> list[str]:
    """The words of a ``kedro run`` with other values for some of its parameters."""
    if not params:
        return list(words)
    values = {**dict(_assignments(words)), **params}
    text = ",".join(f"{key}={value}" for key, value in values.items())
    place = _params_place(words)
    if place is None:
        return [*words, "--params", text]
    return [*words[:place], text, *words[place + 1 :]]


def parse_params(texts: Sequence[str]) -> dict[str, str]:
    """The values of ``--params a.b=1,c=x``, each as text; InvalidInput for what is no assignment."""
    found: dict[str, str] = {}
    for item in filter(None, (each.strip() for text in texts for each in text.split(","))):
        key, equals, value = item.partition("=")
        if not (equals and key.strip()):
            raise InvalidInput(f"parameter '{item}' is no assignment; write --params key=value,other.key=value")
        found[key.strip()] = value
    return found


def differences(before: Mapping[str, float], after: Mapping[str, float], tolerance: float = 0.0) -> list[str]:
    """One line for each metric that is not the same in both, the times and the machine's load aside.

    Args:
        before: Values by metric.
        after: Values by metric.
        tolerance: How far two values may be apart, absolutely or relative to the larger one.
    """
    return [
        f"{key}: {_shown(before.get(key))} before, {_shown(after.get(key))} now"
        for key in sorted({*before, *after})
        if not key.startswith(_OF_THE_MACHINE) and not _same(before.get(key), after.get(key), tolerance)
    ]


def values_of(run: Run) -> dict[str, float]:
    """The last value of each metric."""
    return {key: metric.value for key, metric in run.metrics.items()}


def _same(before: float | None, after: float | None, tolerance: float) -> bool:
    if before is None or after is None:
        return before is after
    both_nan = math.isnan(before) and math.isnan(after)
    return both_nan or before == after or math.isclose(before, after, rel_tol=tolerance, abs_tol=tolerance)


def _shown(value: float | None) -> str:
    return "missing" if value is None else repr(value)


def _assignments(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    place = _params_place(words)
    # Kedro splits at every comma, whatever stands around it.
    for item in words[place].split(",") if place is not None else ():
        key, _, value = item.partition("=")
        if key:
            yield key, value


def _params_place(words: Sequence[str]) -> int | None:
    return words.index("--params") + 1 if "--params" in words[:-1] else None
