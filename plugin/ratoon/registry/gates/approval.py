"""The gate ``approval``: people said yes. In a policy it takes :class:`ApprovalOptions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ratoon.entities import Verdict
from ratoon.hookspecs import hookimpl
from ratoon.registry.approvals import Approval, approvals_of
from ratoon.registry.contender import Contender, PromotionContext
from ratoon.registry.options import options_of

GATE = "approval"


class ApprovalOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many people must have approved.

    Attributes:
        count: At least so many.
        by: Only these count; everybody's approval does if None.
        by_others: The approval of who promotes does not count.
    """

    count: Annotated[int, Meta(ge=1)] = 1
    by: tuple[str, ...] | None = None
    by_others: bool = True


@hookimpl
def judge_promotion(
    candidate: Contender, champion: Contender | None, context: PromotionContext
) -> Sequence[Verdict] | None:
    """Count who approved the candidate for this alias."""
    options = options_of(context, GATE, ApprovalOptions)
    if options is None:
        return None
    given = approvals_of(candidate.version, context.alias)
    counted = [each for each in given if _counts(each, options, context.by)]
    passed = len(counted) >= options.count
    reason = _said(counted) if passed else _missing(given, counted, options, candidate, context)
    evidence = {"wanted": options.count, "approvals": msgspec.to_builtins(counted)}
    return [Verdict(gate="approval", passed=passed, reason=reason, evidence=evidence)]


def _counts(approval: Approval, options: ApprovalOptions, promoter: str) -> bool:
    if options.by_others and approval.by == promoter:
        return False
    return options.by is None or approval.by in options.by


def _said(approvals: Sequence[Approval]) -> str:
    people = (f"{each.by} ({each.reason})" if each.reason else each.by for each in approvals)
    return f"approved by {', '.join(people)}"


def _missing(
    given: Sequence[Approval],
    counted: Sequence[Approval],
    options: ApprovalOptions,
    candidate: Contender,
    context: PromotionContext,
) -> str:
    version = candidate.version
    others = f" other than {context.by}" if options.by_others else ""
    who = f"one of {', '.join(options.by)}" if options.by else "somebody"
    passed_over = [each.by for each in given if each not in counted]
    aside = f" ({', '.join(passed_over)} approved, which does not count)" if passed_over else ""
    return (
        f"{len(counted)} of {options.count} approvals are there{aside}; ask {who}{others} for"
        f" 'ratoon approve {version.name} {version.version} --alias {context.alias} --reason WHY'"
    )
