"""What a sweep is to do: from ``conf/<env>/sweep.yml``, and from options, which win."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import Struct, field

from ratoon.errors import InvalidInput
from ratoon_kedro.sweeping.space import FORMS, Dimension, parse_space, read_space

FILE_NAME = "sweep.yml"
# Not `ratoon*`: that would be merged into ratoon.yml.
PATTERNS = ("sweep*", "sweep*/**")

DIRECTIONS = ("maximize", "minimize")
SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "hyperband", "none")


class Plan(Struct, frozen=True, kw_only=True):
    """A sweep.

    Attributes:
        metric: What is to be as large, or as small, as possible.
        space: Which values are tried, by parameter.
        direction: ``maximize`` or ``minimize``.
        trials: How many are wanted.
        jobs: How many run at a time.
        study: The sweep's name.
        sampler: What chooses the values.
        pruner: What stops a trial that is worse than others were.
        intermediate: The metric whose history it looks at; the metric itself if None.
        warmup: Steps of a trial before it may be stopped; with 1, a metric that is no history stops none.
        seed: Makes the values repeatable with one job; None for others each time.
        command: The options of ``kedro run`` for every trial.
        params: Parameters that are the same in every trial, by dotted name.
    """

    metric: str
    space: Mapping[str, Dimension]
    direction: str = "maximize"
    trials: int = 20
    jobs: int = 1
    study: str = ""
    sampler: str = "tpe"
    pruner: str = "median"
    intermediate: str | None = None
    warmup: int = 1
    seed: int | None = None
    command: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def watched(self) -> str | None:
        """The metric that is looked at while a trial runs; None if nobody looks."""
        return None if self.pruner == "none" else self.intermediate or self.metric


KEYS = Plan.__struct_fields__
# What may be another in each part of a sweep that is resumed.
CHANGEABLE = ("trials", "jobs")
_CHOICES = {"direction": DIRECTIONS, "sampler": SAMPLERS, "pruner": PRUNERS}


def read_file(config_loader: Any) -> dict[str, Any]:
    """What ``sweep.yml`` says; empty if there is none.

    Raises:
        InvalidInput: It cannot be read, or holds a key that is unknown.
    """
    from kedro.config import MissingConfigException

    patterns = getattr(config_loader, "config_patterns", None)
    if not isinstance(patterns, dict):
        return {}
    patterns.setdefault("sweep", list(PATTERNS))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = dict(config_loader["sweep"] or {})
    except (MissingConfigException, KeyError):
        return {}
    except Exception as error:  # whatever the YAML or the interpolation is refused with
        raise InvalidInput(f"settings file '{FILE_NAME}' cannot be read ({error}); correct it") from error
    for key in content:
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys are {', '.join(KEYS)}"
            raise InvalidInput(f"setting {key!r} in {FILE_NAME} is unknown; {hint}")
    return content


def merged(content: Mapping[str, Any], given: Mapping[str, Any], space: tuple[str, ...]) -> dict[str, Any]:
    """What a file and options say together.

    Args:
        content: The file's keys.
        given: The options; None and empty ones were not given.
        space: Texts of ``--space``; a parameter in them takes the place of the file's.
    """
    values = dict(content)
    if "space" in values:
        values["space"] = read_space(values["space"], FILE_NAME)
    if isinstance(values.get("command"), str):
        import shlex

        values["command"] = tuple(shlex.split(values["command"]))
    values |= {key: value for key, value in given.items() if value not in (None, (), {})}
    if space:
        values["space"] = {**values.get("space", {}), **parse_space(space)}
    return values


def make_plan(values: Mapping[str, Any]) -> Plan:
    """Check what was said.

    Raises:
        InvalidInput: Something is missing or cannot be used; the message names it and what would fit.
    """
    if not values.get("metric"):
        raise InvalidInput(
            f"sweep has no metric; give --metric, evaluation.accuracy for example, or set it in {FILE_NAME}"
        )
    if not values.get("space"):
        raise InvalidInput(
            f"sweep has no space; give --space model.depth='int(1,20)', or set it in {FILE_NAME} ({FORMS})"
        )
    for key, known in _CHOICES.items():
        if key in values and values[key] not in known:
            raise InvalidInput(f"setting {key!r} of the sweep is {values[key]!r}; give {', '.join(known)}")
    try:
        plan = msgspec.convert(dict(values, space={}), Plan)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"settings of the sweep cannot be used ({error}); correct {FILE_NAME} or the options"
        ) from error
    if plan.trials < 1 or plan.jobs < 1 or plan.warmup < 0:
        raise InvalidInput("settings of the sweep cannot be used (trials and jobs are at least 1); correct them")
    return msgspec.structs.replace(plan, space=values["space"])


def resumed(plan: Plan, values: Mapping[str, Any]) -> Plan:
    """The plan of a sweep that goes on.

    Raises:
        InvalidInput: What was said now contradicts what was said then.
    """
    wanted = {key: value for key, value in values.items() if key in KEYS}
    other = [key for key, value in wanted.items() if key not in CHANGEABLE and value != getattr(plan, key)]
    if other:
        raise InvalidInput(
            f"sweep '{plan.study}' cannot go on with another {', '.join(other)} (its trials would not be comparable);"
            " leave that out, or start another --study"
        )
    return msgspec.structs.replace(plan, **{key: wanted[key] for key in CHANGEABLE if key in wanted})


def encode(plan: Plan) -> Any:
    """The plan as plain values for JSON."""
    return msgspec.to_builtins(plan)


def decode(value: object) -> Plan:
    """The plan that :func:`encode` wrote; InvalidInput if it is none."""
    try:
        return msgspec.convert(value, Plan)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"plan of the sweep cannot be read ({error}); start another --study") from error
