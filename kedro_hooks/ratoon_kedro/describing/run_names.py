"""The run's name from the template in ``ratoon.yml``: ``{pipeline}-{params.model.max_depth}``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from string import Formatter

from ratoon.errors import InvalidSetting
from ratoon_kedro.recording.params import Redactor, flatten

LONGEST = 250  # characters
_FIELDS = ("pipeline", "env", "user", "date", "git")


def run_name(template: str, facts: Mapping[str, str], parameters: object, redactor: Redactor) -> str:
    """Put the facts about a run into the template of its name.

    Args:
        template: Text with fields in braces: ``pipeline``, ``env``, ``user``, ``git`` (the commit's first digits),
            ``date`` (with a format, if one is given: ``{date:%H-%M}``) and ``params.<dotted name>``.
        facts: The text of each field that has no dot, but for the date.
        parameters: The parameters as Kedro resolved them.
        redactor: What takes the secrets out.

    Raises:
        InvalidSetting: A field is unknown, or the braces do not fit.
    """
    known = {**facts, **_parameters(template, parameters, redactor)}
    try:
        parts = [text + _value(field, spec or "", known) for text, field, spec, _ in Formatter().parse(template)]
    except ValueError as error:  # a brace without its other half, a format that the value does not take
        raise InvalidSetting(f"setting 'run_name' is {template!r} ({error}); correct it") from error
    return "".join(parts)[:LONGEST]


def _parameters(template: str, parameters: object, redactor: Redactor) -> dict[str, str]:
    if "{params." not in template:
        return {}
    return {f"params.{key}": value for key, value in flatten("", parameters, redactor).items()}


def _value(field: str | None, spec: str, known: Mapping[str, str]) -> str:
    if field is None:
        return ""
    if field == "date":
        return format(datetime.now(), spec or "%Y-%m-%d")
    if field in known:
        return format(_number(known[field]) if spec else known[field], spec)
    near = get_close_matches(field, [*_FIELDS, *known], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known fields are {', '.join(_FIELDS)} and params.<name>"
    raise InvalidSetting(f"setting 'run_name' has the unknown field {field!r}; {hint}")


def _number(text: str) -> float | int | str:
    """The number that a text stands for, so that ``{params.rate:.2f}`` has something to format."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
