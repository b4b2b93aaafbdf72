"""The gate ``significance``: the candidate is better than the champion by more than chance explains.

In a policy it takes :class:`SignificanceOptions`. It compares what both answered to the same rows, as
:mod:`ratoon.registry.predictions` keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ratoon.entities import Verdict
from ratoon.errors import Corrupt, InvalidInput, InvalidSetting, NotFound
from ratoon.hookspecs import hookimpl
from ratoon.registry.bootstrap import SCORES, Drawing, Gain, paired_gain
from ratoon.registry.contender import Contender, PromotionContext
from ratoon.registry.options import options_of, suggestion
from ratoon.registry.predictions import Predictions, read_predictions
from ratoon.tracking.client import Client

GATE = "significance"


class SignificanceOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be shown about the gain.

    Attributes:
        metric: A metric by the name that scikit-learn gives it, one of :data:`ratoon.registry.bootstrap.SCORES`.
        confidence: How sure one must be.
        least_gain: The gain must be larger than this, in units of the metric. A negative number is the loss that is
            tolerated: then it must be shown that the candidate is not worse by more.
        resamples: How many samples are drawn.
        seed: What the drawing begins with; the same seed gives the same verdict.
        minimum_rows: Fewer rows are not enough for a judgement.
    """

    metric: str
    confidence: Annotated[float, Meta(gt=0.5, lt=1)] = 0.95
    least_gain: float = 0.0
    resamples: Annotated[int, Meta(ge=100, le=100_000)] = 2000
    seed: Annotated[int, Meta(ge=0)] = 0
    minimum_rows: Annotated[int, Meta(ge=2)] = 30


@hookimpl
def judge_promotion(
    candidate: Contender, champion: Contender | None, context: PromotionContext
) -> Sequence[Verdict] | None:
    """Compare the stored predictions of both, row by row."""
    options = options_of(context, GATE, SignificanceOptions)
    if options is None:
        return None
    if options.metric not in SCORES:
        hint = suggestion(options.metric, SCORES) or f"give one of {', '.join(SCORES)}"
        raise InvalidSetting(f"metric {options.metric!r} of gate {GATE!r} is unknown; {hint}")
    gate = f"{options.metric} significantly better"
    if champion is None:
        return [Verdict(gate=gate, passed=True, reason="there is no champion to compare it with")]
    try:
        ours, theirs = (_stored(context.client, each) for each in (candidate, champion))
        return [_verdict(gate, _compared(options, ours, theirs), options)]
    except (Corrupt, InvalidInput, NotFound) as error:
        return [Verdict(gate=gate, passed=False, reason=str(error))]


def _stored(client: Client, contender: Contender) -> Predictions:
    for run in contender.runs:
        try:
            return read_predictions(client, run)
        except NotFound:
            continue
    version = contender.version
    raise NotFound(
        f"version {version.version} has no stored predictions; evaluate models:/{version.name}/{version.version} and"
        " promote again"
    )


def _compared(options: SignificanceOptions, ours: Predictions, theirs: Predictions) -> Gain:
    if ours.digest != theirs.digest:
        raise InvalidInput(
            f"the two were evaluated on different data ({ours.dataset!r} with digest {ours.digest}, {theirs.dataset!r}"
            f" with digest {theirs.digest}); evaluate both on the same"
        )
    if len(ours.rows) < options.minimum_rows:
        raise InvalidInput(
            f"{len(ours.rows)} rows are too few to judge by (at least {options.minimum_rows}); evaluate both on more"
        )
    return paired_gain(options.metric, ours, theirs, Drawing(options.confidence, options.resamples, options.seed))


def _verdict(gate: str, found: Gain, options: SignificanceOptions) -> Verdict:
    passed = found.bound > options.least_gain
    wanted = f"more than {options.least_gain:.6g} is wanted"
    reason = (
        f"{options.metric} is {found.candidate:.6g}, the champion's is {found.champion:.6g} on the same {found.rows}"
        f" rows: with {options.confidence:.4g} confidence the gain is more than {found.bound:.6g}, {wanted}"
    )
    settings = {"confidence": options.confidence, "resamples": options.resamples, "seed": options.seed}
    return Verdict(gate=gate, passed=passed, reason=reason, evidence={**msgspec.to_builtins(found), **settings})
