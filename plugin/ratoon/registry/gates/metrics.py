"""The gate ``metrics``: a metric is good enough, and not worse than the champion's.

In a policy it takes a list of :class:`~ratoon.registry.contender.MetricRule`; the caller's rules are judged beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ratoon.entities import Verdict
from ratoon.errors import InvalidSetting
from ratoon.hookspecs import hookimpl
from ratoon.registry.contender import Contender, MetricRule, PromotionContext
from ratoon.registry.judging import checked_rules
from ratoon.registry.options import options_of

GATE = "metrics"


@hookimpl
def judge_promotion(
    candidate: Contender, champion: Contender | None, context: PromotionContext
) -> Sequence[Verdict] | None:
    """Judge the candidate by each rule: its limits first, then the champion; nothing to say without a rule."""
    configured = options_of(context, GATE, list[MetricRule]) or []
    rules = (*context.rules, *checked_rules(configured, InvalidSetting))
    return [verdict for rule in rules for verdict in _judge(rule, candidate, champion)]


def _judge(rule: MetricRule, candidate: Contender, champion: Contender | None) -> Iterator[Verdict]:
    value = candidate.metrics.get(rule.metric)
    if value is None or math.isnan(value):
        yield _unknown(rule, candidate, "is not a number" if value is not None else "was not logged")
        return
    if rule.minimum is not None or rule.maximum is not None:
        yield _within_limits(rule, value)
    if champion is not None:
        yield _against_champion(rule, value, champion)
    elif rule.minimum is None and rule.maximum is None:
        yield Verdict(
            gate=f"{rule.metric} known",
            passed=True,
            reason=f"{rule.metric} is {value:.6g} and there is no champion to compare it with",
            evidence={"candidate": value},
        )


def _unknown(rule: MetricRule, candidate: Contender, what: str) -> Verdict:
    known = ", ".join(sorted(candidate.metrics)) or "none"
    return Verdict(
        gate=f"{rule.metric} known",
        passed=False,
        reason=f"metric {rule.metric!r} of version {candidate.version.version} {what}; its run has: {known}",
        evidence={"metrics": sorted(candidate.metrics)},
    )


def _within_limits(rule: MetricRule, value: float) -> Verdict:
    low = -math.inf if rule.minimum is None else rule.minimum
    high = math.inf if rule.maximum is None else rule.maximum
    return Verdict(
        gate=f"{rule.metric} within limits",
        passed=low <= value <= high,
        reason=f"{rule.metric} is {value:.6g}, wanted is {limits(rule.minimum, rule.maximum)}",
        evidence={"candidate": value, "minimum": rule.minimum, "maximum": rule.maximum},
    )


def limits(minimum: float | None, maximum: float | None) -> str:
    """Limits as a person reads them."""
    low = "" if minimum is None else f"at least {minimum:.6g}"
    high = "" if maximum is None else f"at most {maximum:.6g}"
    return " and ".join(filter(None, (low, high)))


def _against_champion(rule: MetricRule, value: float, champion: Contender) -> Verdict:
    gate, number = f"{rule.metric} not worse than the champion's", champion.version.version
    held = champion.metrics.get(rule.metric)
    if held is None or math.isnan(held):
        reason = f"version {number}, the champion, has no {rule.metric} to compare {value:.6g} with"
        return Verdict(gate=gate, passed=True, reason=reason, evidence={"candidate": value})
    allowed = f", a loss of {rule.tolerance:.6g} is tolerated" if rule.tolerance else ""
    return Verdict(
        gate=gate,
        passed=not is_worse(value, held, rule.tolerance, higher_is_better=rule.higher_is_better),
        reason=f"{rule.metric} is {value:.6g}, version {number} has {held:.6g}{allowed}",
        evidence={"candidate": value, "champion": held, "champion_version": number, "tolerance": rule.tolerance},
    )


def is_worse(value: float, held: float, tolerance: float, *, higher_is_better: bool) -> bool:
    """Whether a value loses more against the one that is held than is tolerated."""
    gain = value - held if higher_is_better else held - value
    # An infinity against the same infinity is no loss, though their difference is NaN.
    return not (value == held or gain >= -tolerance)
