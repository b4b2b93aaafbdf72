"""What a gate is shown: the version that wants an alias, the one that holds it, and what was asked to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from ratoon.entities import ModelVersion, MoveKind, Run
from ratoon.errors import NotFound

if TYPE_CHECKING:
    from ratoon.tracking.client import Client

# The tag of a version that names the run in which it was evaluated last, if that is not the run that made it.
EVALUATION_RUN = "ratoon.evaluation_run"


class MetricRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
    """A version, with what its runs recorded.

    Attributes:
        version: The version itself.
        run: The run that made the model; None if it is not known here.
        evaluation: The run that the tag ``ratoon.evaluation_run`` of the version names; None if there is none.
        metrics: The last value of each metric of both runs; where both have it, that of the evaluation.
    """

    version: ModelVersion
    run: Run | None = None
    evaluation: Run | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that may hold evidence, the one to look at first in front."""
        return tuple(run for run in (self.evaluation, self.run) if run is not None)


class PromotionContext(Struct, frozen=True, kw_only=True):
    """What is to be judged, for whom, and by which figures.

    Attributes:
        alias: The alias that is to move.
        client: Where versions, runs and files can be read; a gate changes nothing there.
        rules: The rules on metrics that the caller asked to be applied.
        options: What the policy says about each gate, by the gate's name; a gate that is not in it is not asked for.
            :func:`ratoon.registry.options.options_of` reads them into a Struct.
        kind: ``promote``, or ``rollback`` where the candidate is to take the alias back.
        by: Who wants the alias to move.
    """

    alias: str
    client: Client
    rules: tuple[MetricRule, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    kind: MoveKind = MoveKind.PROMOTE
    by: str = ""


def contender_of(client: Client, name: str, version: int) -> Contender:
    """A version with what its runs recorded; a run that is not known here counts as none."""
    found = client.registry.get_version(name, version)
    run, evaluation = (_run(client, run_id) for run_id in (found.run_id, found.tags.get(EVALUATION_RUN)))
    metrics = {key: metric.value for each in (run, evaluation) if each for key, metric in each.metrics.items()}
    return Contender(version=found, run=run, evaluation=evaluation, metrics=metrics)


def _run(client: Client, run_id: str | None) -> Run | None:
    try:
        return client.tracking.get_run(run_id) if run_id else None
    except NotFound:
        return None
