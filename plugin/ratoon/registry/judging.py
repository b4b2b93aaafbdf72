"""Asking the gates: every plugin is asked, every verdict is kept, what cannot be understood counts as a refusal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ratoon.entities import MoveKind, Verdict
from ratoon.errors import InvalidInput, InvalidSetting, PromotionRefused
from ratoon.manager import votes
from ratoon.registry.contender import Contender, MetricRule, PromotionContext
from ratoon.registry.options import GateOptions


def judge(candidate: Contender, champion: Contender | None, context: PromotionContext) -> tuple[Verdict, ...]:
    """Ask every gate for its verdicts.

    Raises:
        InvalidSetting: The policy names a gate that nobody knows, or tells one what it does not understand.
    """
    verdicts: list[Verdict] = []
    failures = 0
    arguments = {"candidate": candidate, "champion": champion, "context": context}
    for plugin, answer in votes(context.client.manager, "judge_promotion", **arguments):
        if isinstance(answer, InvalidSetting):
            raise answer
        found = list(_verdicts(plugin, answer))
        failures += isinstance(answer, Exception)
        verdicts += found
    # A gate that failed may not have come so far as to ask for its options.
    if isinstance(context.options, GateOptions) and not failures:
        context.options.refuse_unasked()
    return tuple(verdicts)


def refusal_of(
    candidate: Contender, context: PromotionContext, verdicts: Sequence[Verdict], way_out: str
) -> PromotionRefused | None:
    """Why the verdicts do not let the alias move; None if they do.

    Nobody's agreement is not enough for a promotion; going back needs no more than that nobody objects.
    """
    against = [verdict for verdict in verdicts if not verdict.passed]
    if not against and (verdicts or context.kind == MoveKind.ROLLBACK):
        return None
    causes = [f"{verdict.gate}: no, {verdict.reason}" for verdict in against]
    cause = "; ".join(causes) or "no gate had anything to judge it by"
    what_to_do = way_out if causes else "name a metric with --metric, or gates in promotion.yml"
    who = f"version {candidate.version.version} of model {candidate.version.name!r}"
    return PromotionRefused(
        f"{who} may not take {context.alias!r} ({cause}); {what_to_do}, or move it with --force", verdicts
    )


def checked_rules(rules: Sequence[MetricRule], error: type[InvalidInput] = InvalidInput) -> Iterator[MetricRule]:
    """The rules, unless one of them makes no sense."""
    for rule in rules:
        numbers = {"minimum": rule.minimum, "maximum": rule.maximum, "tolerance": rule.tolerance}
        for what, number in numbers.items():
            if number is not None and not math.isfinite(number):
                raise error(f"the {what} for metric {rule.metric!r} is {number}; give a finite number")
        if rule.tolerance < 0:
            raise error(f"the tolerance for metric {rule.metric!r} is {rule.tolerance}; give 0 or more")
        yield rule


def _verdicts(plugin: str, answer: object) -> Iterator[Verdict]:
    if isinstance(answer, Exception):
        yield Verdict(gate=plugin, passed=False, reason=f"the gate itself failed: {answer!r}")
    elif isinstance(answer, Sequence) and all(isinstance(verdict, Verdict) for verdict in answer):
        yield from answer
    else:  # what cannot be understood must not pass for agreement
        reason = f"the gate itself failed: it answered {answer!r} instead of a list of verdicts"
        yield Verdict(gate=plugin, passed=False, reason=reason)
