"""What a sweep is to do: from ``conf/<env>/sweep.yml``, and from options, which win."""

from __future__ import annotations

import json
import shlex
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import msgspec
from msgspec import Struct, field

from ratoon.errors import InvalidInput
from ratoon_kedro.describing.command_params import params_option
from ratoon_kedro.recording.params import REDACTED, Redactor
from ratoon_kedro.sweeping.space import FORMS, Dimension, dotted, nested, parse_space, read_space

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
_TYPES = {each.name: each.type for each in msgspec.structs.fields(Plan)}
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

    Raises:
        InvalidInput: A value of the file, or a form, is none that fits.
    """
    values = {key: _checked(key, value) for key, value in content.items() if value is not None}
    values |= {key: value for key, value in given.items() if value not in (None, (), {})}
    if space:
        values["space"] = {**values.get("space", {}), **parse_space(space)}
    return values


def _checked(key: str, value: Any) -> Any:
    """A value of the file as a plan has it."""
    if key == "space":
        return read_space(value, FILE_NAME)
    try:
        if key == "command" and isinstance(value, str):
            return tuple(shlex.split(value))
        kept = msgspec.convert(value, _TYPES[key])
    except (msgspec.ValidationError, ValueError) as error:
        raise InvalidInput(f"setting {key!r} in {FILE_NAME} cannot be used ({error}); correct it") from error
    return dict(dotted(kept)) if key == "params" else kept


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
    _check_names([*values["space"], *plan.params])
    return msgspec.structs.replace(plan, space=values["space"])


def _check_names(names: list[str]) -> None:
    """Refuse a parameter that would be a value and hold others at the same time."""
    for name in names:
        for other in names:
            if other.startswith(f"{name}."):
                raise InvalidInput(
                    f"parameter '{name}' of the sweep is given a value, and '{other}' lies below it; leave one out"
                )


def resumed(plan: Plan, values: Mapping[str, Any]) -> Plan:
    """The plan of a sweep that goes on.

    Raises:
        InvalidInput: What was said now contradicts what was said then.
    """
    wanted = {key: value for key, value in values.items() if key in KEYS}
    plan, wanted["params"] = _with_secrets(plan, wanted.get("params") or {})
    other = [key for key, value in wanted.items() if key not in CHANGEABLE and value != getattr(plan, key)]
    if other:
        raise InvalidInput(
            f"sweep '{plan.study}' cannot go on with another {', '.join(other)} (its trials would not be comparable);"
            " leave that out, or start another --study"
        )
    return msgspec.structs.replace(plan, **{key: wanted[key] for key in CHANGEABLE if key in wanted})


def _with_secrets(plan: Plan, given: Mapping[str, Any]) -> tuple[Plan, Mapping[str, Any]]:
    """The plan with what was taken out when it was written, and all its parameters as they are given now."""
    secret = [name for name, value in plan.params.items() if REDACTED in str(value)]
    missing = [name for name in secret if name not in given]
    if missing:
        wanted = ",".join(f"{name}=…" for name in missing)
        raise InvalidInput(
            f"sweep '{plan.study}' cannot go on as it is recorded (secrets are taken out); give --params '{wanted}'"
        )
    params = {**plan.params, **{name: given[name] for name in secret}}
    return msgspec.structs.replace(plan, params=params), {**params, **given}


def encode(plan: Plan, redactor: Redactor) -> Any:
    """The plan as plain values for JSON, without secrets."""
    return msgspec.to_builtins(msgspec.structs.replace(plan, params=_clean(plan.params, redactor)))


def sweep_command(plan: Plan, redactor: Redactor) -> str:
    """The command line of a sweep as anybody may read it; its space is in the file."""
    words = ["--study", plan.study, "--metric", plan.metric, "--trials", str(plan.trials)]
    shown = ",".join(f"{name}={_text(value)}" for name, value in _clean(plan.params, redactor).items())
    return shlex.join(["kedro", "ratoon", "sweep", *words, *(["--params", shown] if shown else []), *plan.command])


def run_command(plan: Plan, values: Mapping[str, Any], redactor: Redactor) -> str:
    """The ``kedro run`` of a trial with these values, without secrets."""
    params, _ = params_option(nested({**plan.params, **values}), redactor)
    return shlex.join(["kedro", "run", *plan.command, "--params", params])


def secret_params(plan: Plan, redactor: Redactor) -> list[str]:
    """The parameters that are not written down as they are: whoever goes on with the sweep must give them."""
    return [name for name, value in _clean(plan.params, redactor).items() if REDACTED in str(value)]


def _clean(params: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    return {name: redactor.clean(name, value) for name, value in params.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def decode(value: object) -> Plan:
    """The plan that :func:`encode` wrote; InvalidInput if it is none."""
    try:
        return msgspec.convert(value, Plan)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"plan of the sweep cannot be read ({error}); start another --study") from error
