"""The gate ``segments``: no part of the data is served worse than is allowed, however good the average is.

In a policy it takes a list of :class:`SegmentRule`; the metrics are those of :mod:`ratoon.registry.segments`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from ratoon.entities import Verdict
from ratoon.errors import InvalidSetting
from ratoon.hookspecs import hookimpl
from ratoon.registry.contender import Contender, PromotionContext
from ratoon.registry.gates.metrics import is_worse, limits
from ratoon.registry.options import options_of
from ratoon.registry.segments import ROWS, Segment, segments_of

GATE = "segments"
LISTED = 5

_UNKNOWN = "was measured for the champion only: evaluate both on the same data"

Values = dict[Segment, float]


class SegmentRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a metric must be like in every segment.

    Attributes:
        metric: Its key within the segment.
        column: The column whose segments are looked at; all columns if None.
        higher_is_better: Whether a larger value is the better one.
        minimum: The smallest value that is good enough; no limit if None.
        maximum: The largest value that is good enough; no limit if None.
        tolerance: By how much a segment may be worse than the champion's; they are not compared if None.
        minimum_rows: Segments with fewer rows are passed over: of few rows a metric says little.
    """

    metric: str
    column: str | None = None
    higher_is_better: bool = True
    minimum: float | None = None
    maximum: float | None = None
    tolerance: float | None = None
    minimum_rows: int = 0


@hookimpl
def judge_promotion(
    candidate: Contender, champion: Contender | None, context: PromotionContext
) -> Sequence[Verdict] | None:
    """Judge every segment of the candidate by each rule."""
    rules = options_of(context, GATE, list[SegmentRule]) or []
    return [_judge(_checked(rule), candidate, champion) for rule in rules]


def _checked(rule: SegmentRule) -> SegmentRule:
    numbers = [each for each in (rule.minimum, rule.maximum, rule.tolerance) if each is not None]
    if not numbers or not all(map(math.isfinite, numbers)) or (rule.tolerance or 0) < 0:
        raise InvalidSetting(
            f"rule of gate {GATE!r} for metric {rule.metric!r} says nothing that can be judged; give it a minimum, a"
            " maximum or a tolerance of 0 or more"
        )
    return rule


def _judge(rule: SegmentRule, candidate: Contender, champion: Contender | None) -> Verdict:
    values = _values(rule, candidate.metrics)
    held = _values(rule, champion.metrics) if champion is not None and rule.tolerance is not None else {}
    of_column = f" of column {rule.column!r}" if rule.column else ""
    gate = f"{rule.metric} in every segment{of_column}"
    if not values:
        reason = (
            f"{rule.metric} of version {candidate.version.version} was measured in no segment{of_column}; evaluate it"
            " by segments and promote again"
        )
        return Verdict(gate=gate, passed=False, reason=reason)
    # Passed over for its few rows is not the same as never measured.
    missing = held.keys() - segments_of(candidate.metrics).keys()
    faults = {**dict(_faults(rule, values, held)), **{segment: f"{segment} {_UNKNOWN}" for segment in sorted(missing)}}
    worst = (min if rule.higher_is_better else max)(values, key=lambda segment: values[segment])
    evidence = {
        "segments": len(values),
        "worst": str(worst),
        "worst_value": values[worst],
        "refused": [str(segment) for segment in faults],
    }
    reason = _listed(list(faults.values())) or f"the worst of {len(values)} is {worst} with {values[worst]:.6g}"
    return Verdict(gate=gate, passed=not faults, reason=reason, evidence=evidence)


def _values(rule: SegmentRule, metrics: Mapping[str, float]) -> Values:
    found = segments_of(metrics)
    return {
        segment: own[rule.metric]
        for segment, own in found.items()
        if rule.metric in own and rule.column in (None, segment.column) and own.get(ROWS, math.inf) >= rule.minimum_rows
    }


def _faults(rule: SegmentRule, values: Values, held: Values) -> Iterator[tuple[Segment, str]]:
    """What is wrong with which segment."""
    for segment, value in sorted(values.items()):
        fault = _fault(rule, value, held.get(segment))
        if fault:
            yield segment, f"{segment} {fault}"


def _fault(rule: SegmentRule, value: float, held: float | None) -> str:
    low = -math.inf if rule.minimum is None else rule.minimum
    high = math.inf if rule.maximum is None else rule.maximum
    if math.isnan(value):
        return "is not a number"
    if not low <= value <= high:
        return f"has {value:.6g}, wanted is {limits(rule.minimum, rule.maximum)}"
    if rule.tolerance is None or held is None or math.isnan(held):
        return ""
    if is_worse(value, held, rule.tolerance, higher_is_better=rule.higher_is_better):
        return f"has {value:.6g}, the champion has {held:.6g} and a loss of {rule.tolerance:.6g} is tolerated"
    return ""


def _listed(faults: Sequence[str]) -> str:
    more = f" and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
    return "; ".join(faults[:LISTED]) + more
