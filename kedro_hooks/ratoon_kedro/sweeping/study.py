"""The sampler and the pruner of Optuna, told what the tracking store knows; nothing is kept anywhere else.

The sampler is made anew for each trial from the seed and the trial's number, so that a sweep that was broken off goes
on with the very values that it would have tried.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput, MissingExtra
from ratoon_kedro.sweeping.plan import Plan
from ratoon_kedro.sweeping.records import Outcome, TrialRecord
from ratoon_kedro.sweeping.space import Choice, Dimension

if TYPE_CHECKING:
    import optuna

# Random trials before the sampler learns from what it has seen, and trials before one is pruned.
STARTUP_TRIALS = 10
STARTUP_BEFORE_PRUNING = 4


class Asked:
    """A trial that is to run: its values, and what its history says about it.

    Args:
        trial: Optuna's.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self._last: int | None = None
        self.values: dict[str, Any] = dict(trial.params)

    def should_stop(self, history: Mapping[int, float], warmup: int = 0) -> bool:
        """Learn the steps that are new in a history; whether the trial is worse than others were."""
        for step in sorted(history):
            if self._last is not None and step <= self._last:
                continue
            self._last = step
            if math.isfinite(history[step]):
                self._trial.report(history[step], step)
        return self._last is not None and self._last >= warmup and self._trial.should_prune()

    def tell(self, study: optuna.Study, outcome: Outcome, value: float | None) -> None:
        """Say how it ended."""
        import optuna

        states = {
            Outcome.COMPLETE: optuna.trial.TrialState.COMPLETE,
            Outcome.PRUNED: optuna.trial.TrialState.PRUNED,
        }
        state = states.get(outcome, optuna.trial.TrialState.FAIL)
        study.tell(self._trial, value if outcome is Outcome.COMPLETE else None, state=state)


class Study:
    """What Optuna knows about a sweep.

    Args:
        plan: The sweep.

    Raises:
        MissingExtra: Optuna is not installed.
        InvalidInput: It does not take the plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._optuna = require_optuna()
        self._plan = plan
        self._asked = 0
        try:
            self._distributions = {name: _distribution(each) for name, each in plan.space.items()}
        except ValueError as error:
            raise InvalidInput(f"space of sweep '{plan.study}' cannot be used ({error}); correct it") from error
        self.inner = self._optuna.create_study(
            direction=plan.direction, sampler=self._sampler(0), pruner=_pruner(plan), study_name=plan.study or None
        )

    def learn(self, record: TrialRecord) -> None:
        """Take in a trial of an earlier process."""
        states = self._optuna.trial.TrialState
        state = {Outcome.COMPLETE: states.COMPLETE, Outcome.PRUNED: states.PRUNED}.get(record.outcome, states.FAIL)
        finite = {step: value for step, value in record.history.items() if math.isfinite(value)}
        self.inner.add_trial(
            self._optuna.trial.create_trial(
                state=state,
                params=dict(record.values),
                distributions=self._distributions,
                value=record.value if record.outcome is Outcome.COMPLETE else None,
                intermediate_values=finite,
            )
        )
        self._asked += 1

    def repeat(self, values: Mapping[str, Any]) -> None:
        """Try these values next: their trial was broken off."""
        self.inner.enqueue_trial(dict(values))

    def ask(self) -> Asked:
        """The values of the next trial."""
        self.inner.sampler = self._sampler(self._asked)
        self._asked += 1
        return Asked(self.inner.ask(self._distributions))

    def _sampler(self, number: int) -> Any:
        samplers = self._optuna.samplers
        seed = None if self._plan.seed is None else (self._plan.seed * 1_000_003 + number) % 2**32
        if self._plan.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an option that some versions call experimental
            # Trials that are still running count as bad ones, lest several jobs try the same.
            return samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, constant_liar=self._plan.jobs > 1)


def require_optuna() -> Any:
    """Optuna; MissingExtra if it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("kedro ratoon sweep", "sweep", "optuna") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _pruner(plan: Plan) -> Any:
    import optuna

    if plan.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP_BEFORE_PRUNING, n_warmup_steps=plan.warmup)
    if plan.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=max(1, plan.warmup))
    return optuna.pruners.NopPruner()


def _distribution(dimension: Dimension) -> Any:
    from optuna import distributions

    if isinstance(dimension, Choice):
        return distributions.CategoricalDistribution(dimension.options)
    if dimension.integer:
        step = int(dimension.step or 1)
        return distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=step)
    return distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
