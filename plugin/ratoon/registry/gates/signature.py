"""The gate ``signature``: whoever calls the champion today can call the candidate tomorrow. It takes no options."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from ratoon.artifacts.paths import join
from ratoon.entities import ModelVersion, Verdict
from ratoon.errors import Corrupt, InvalidInput, NotFound
from ratoon.hookspecs import hookimpl
from ratoon.models.mlmodel import FILE_NAME, read_mlmodel
from ratoon.models.signature import Signature
from ratoon.registry.compatibility import incompatibilities
from ratoon.registry.contender import Contender, PromotionContext
from ratoon.registry.options import options_of
from ratoon.tracking.client import Client
from ratoon.tracking.locations import artifact_key, parse_model_uri
from ratoon.tracking.models import logged_model

GATE = "signature"
TITLE = "signature compatible"


class SignatureOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing: either callers may stay as they are, or not."""


@hookimpl
def judge_promotion(
    candidate: Contender, champion: Contender | None, context: PromotionContext
) -> Sequence[Verdict] | None:
    """Compare the signatures of both."""
    if options_of(context, GATE, SignatureOptions) is None:
        return None
    try:
        ours = signature_of(context.client, candidate.version)
        theirs = signature_of(context.client, champion.version) if champion is not None else None
    except (Corrupt, InvalidInput, NotFound) as error:
        return [Verdict(gate=TITLE, passed=False, reason=str(error))]
    return [_compared(candidate.version, ours, champion, theirs)]


def signature_of(client: Client, version: ModelVersion) -> Signature | None:
    """The signature of a version, read from its MLmodel file alone; None if it has none."""
    model = logged_model(client, parse_model_uri(f"models:/{version.name}/{version.version}"))
    with tempfile.TemporaryDirectory(prefix="ratoon-signature-") as scratch:
        with open(Path(scratch) / FILE_NAME, "xb") as file:
            file.writelines(client.artifacts.read(join(artifact_key(model.artifact_uri), FILE_NAME)))
        plain = read_mlmodel(Path(scratch)).signature
    return None if plain is None else Signature.from_mlflow(plain)


def _compared(
    version: ModelVersion, ours: Signature | None, champion: Contender | None, theirs: Signature | None
) -> Verdict:
    if ours is None:
        reason = f"version {version.version} has no signature; log the model with an input example"
        return Verdict(gate=TITLE, passed=False, reason=reason)
    if champion is None:
        return Verdict(
            gate=TITLE, passed=True, reason="it has a signature, and there is no champion to compare it with"
        )
    number = champion.version.version
    if theirs is None:
        return Verdict(gate=TITLE, passed=True, reason=f"version {number}, the champion, has none to compare it with")
    faults = incompatibilities(ours, theirs)
    reason = "; ".join(faults) or f"what callers send to version {number} is accepted, the answers are of the same kind"
    return Verdict(gate=TITLE, passed=not faults, reason=reason, evidence={"champion_version": number})
