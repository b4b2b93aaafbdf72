"""A plugin of one module: counts of a binary classifier become the figures that people compare.

A pipeline that returns ``{"tp": 40, "fp": 3, "fn": 5, "tn": 52}`` is tracked with precision, recall and F1 beside the
counts: installed plugins are asked before the builtins, which would have logged the four counts alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ratoon import hookimpl
from ratoon.entities import Verdict
from ratoon.registry.contender import Contender, PromotionContext
from ratoon.tracking.outputs import Description

COUNTS = {"tp", "fp", "fn", "tn"}
LEAST_RECALL = 0.5


@hookimpl
def describe_output(name: str, value: object) -> Description | None:
    if not isinstance(value, Mapping) or set(value) != COUNTS:
        return None
    tp, fp, fn = (float(value[key]) for key in ("tp", "fp", "fn"))
    figures = {
        "precision": tp / (tp + fp) if tp + fp else float("nan"),
        "recall": tp / (tp + fn) if tp + fn else float("nan"),
        "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else float("nan"),
    }
    return Description(metrics={**{key: float(count) for key, count in value.items()}, **figures})


@hookimpl
def judge_promotion(
    candidate: Contender, champion: Contender | None, context: PromotionContext
) -> Sequence[Verdict] | None:
    recall = candidate.metrics.get("recall")
    if recall is None:
        return None
    reason = f"recall is {recall:.3g}, at least {LEAST_RECALL} is wanted of every champion"
    return [Verdict(gate="recall guard", passed=recall >= LEAST_RECALL, reason=reason, evidence={"recall": recall})]
