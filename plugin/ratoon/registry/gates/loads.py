"""The gate ``loads``: the model loads here, answers its own input example, and is quick enough.

In a policy it takes :class:`LoadOptions`. The model is tried in a process of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ratoon.entities import Verdict
from ratoon.errors import InvalidInput, InvalidSetting, RatoonError
from ratoon.hookspecs import hookimpl
from ratoon.models.trust import policy_from
from ratoon.registry.contender import Contender, PromotionContext
from ratoon.registry.options import options_of
from ratoon.registry.trial import Request, Trial, try_out
from ratoon.tracking.models import download_model

GATE = "loads"
TITLE = "loads and answers"

Positive = Annotated[float, Meta(gt=0)]


class LoadOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the model is tried.

    Attributes:
        latency_ms: How long it may take to answer its input example, in milliseconds; any time if None. What counts is
            the median of ``repeats`` calls after a first one.
        timeout: Seconds for everything: start of the process, loading, all calls.
        repeats: How often it is called.
        trust: What loading may run, as for :func:`ratoon.load_model`: nothing, ``code``, or a list of types.
    """

    latency_ms: Positive | None = None
    timeout: Positive = 120.0
    repeats: Annotated[int, Meta(ge=1, le=1000)] = 5
    trust: str | list[str] | None = None


@hookimpl
def judge_promotion(
    candidate: Contender, champion: Contender | None, context: PromotionContext
) -> Sequence[Verdict] | None:
    """Try the candidate out."""
    options = options_of(context, GATE, LoadOptions)
    if options is None:
        return None
    try:
        policy_from(options.trust)
    except InvalidInput as error:
        raise InvalidSetting(f"gate {GATE!r} cannot be asked: {error}") from error
    version = candidate.version
    with tempfile.TemporaryDirectory(prefix="ratoon-model-") as scratch:
        try:
            download_model(context.client, f"models:/{version.name}/{version.version}", Path(scratch))
        except RatoonError as error:
            return [Verdict(gate=TITLE, passed=False, reason=str(error))]
        request = Request(folder=scratch, trust=options.trust, repeats=options.repeats)
        return [_verdict(try_out(request, options.timeout), options)]


def _verdict(trial: Trial, options: LoadOptions) -> Verdict:
    if trial.fault is not None:
        return Verdict(gate=TITLE, passed=False, reason=trial.fault)
    took = trial.answered_in * 1000
    budget = "" if options.latency_ms is None else f", {options.latency_ms:.6g} ms are allowed"
    return Verdict(
        gate=TITLE,
        passed=options.latency_ms is None or took <= options.latency_ms,
        reason=f"loaded in {trial.loaded_in:.3g} s and answered {trial.rows} rows in {took:.3g} ms{budget}",
        evidence={**msgspec.to_builtins(trial), "latency_ms": options.latency_ms},
    )
