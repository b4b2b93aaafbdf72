"""The gate ``tags``: the version carries what every version in service must carry.

In a policy it takes ``required``, a list of keys or of ``key=value``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from ratoon.entities import Verdict
from ratoon.hookspecs import hookimpl
from ratoon.registry.contender import Contender, PromotionContext
from ratoon.registry.options import options_of

GATE = "tags"


class TagOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tags that a version must have: ``owner`` with any value but an empty one, ``reviewed=yes`` with this one."""

    required: tuple[str, ...]


@hookimpl
def judge_promotion(
    candidate: Contender, champion: Contender | None, context: PromotionContext
) -> Sequence[Verdict] | None:
    """Look for each required tag."""
    options = options_of(context, GATE, TagOptions)
    if options is None:
        return None
    version = candidate.version
    faults = list(filter(None, (_fault(wanted, version.tags) for wanted in options.required)))
    if not faults:
        reason = f"version {version.version} has {', '.join(options.required)}"
        return [Verdict(gate="required tags", passed=True, reason=reason)]
    way_out = f"set it with 'ratoon models tag {version.name} {version.version} KEY=VALUE'"
    return [Verdict(gate="required tags", passed=False, reason=f"{'; '.join(faults)}; {way_out}")]


def _fault(wanted: str, tags: Mapping[str, str]) -> str:
    key, equals, value = wanted.partition("=")
    given = tags.get(key)
    if not given:
        return f"tag {key!r} is missing" if given is None else f"tag {key!r} is empty"
    return f"tag {key!r} is {given!r}, wanted is {value!r}" if equals and given != value else ""
