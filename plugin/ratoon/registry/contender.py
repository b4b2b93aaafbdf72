"""What a gate is shown: the version that wants an alias, the one that holds it, and the rules that were asked for."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from ratoon.entities import ModelVersion, Run


class MetricRule(Struct, frozen=True, kw_only=True):
    """What a metric of the candidate must be like.

    Attributes:
        metric: Its key.
        higher_is_better: Whether a larger value is the better one.
        minimum: The smallest value that is good enough; no limit if None.
        maximum: The largest value that is good enough; no limit if None.
        tolerance: By how much the candidate may be worse than the champion, in units of the metric; not negative.
    """

    metric: str
    higher_is_better: bool = True
    minimum: float | None = None
    maximum: float | None = None
    tolerance: float = 0.0


class Contender(Struct, frozen=True, kw_only=True):
    """A version, with what its run recorded.

    Attributes:
        version: The version itself.
        run: The run that made the model; None if it is not known here.
        metrics: The last value of each of the run's metrics.
    """

    version: ModelVersion
    run: Run | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


class PromotionContext(Struct, frozen=True, kw_only=True):
    """What the promotion is about.

    Attributes:
        alias: The alias that is to move.
        rules: The rules on metrics that the caller asked to be applied.
    """

    alias: str
    rules: tuple[MetricRule, ...] = ()
