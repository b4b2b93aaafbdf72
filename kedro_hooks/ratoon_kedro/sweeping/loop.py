"""The sweep itself: asks for values, starts trials, watches them, and tells what came out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from difflib import get_close_matches

import msgspec

from ratoon.clock import now_ms
from ratoon.entities import RunStatus
from ratoon.errors import InvalidInput
from ratoon_kedro.sweeping import liveness
from ratoon_kedro.sweeping.plan import Plan
from ratoon_kedro.sweeping.processes import Ended, Processes
from ratoon_kedro.sweeping.records import NO_METRIC, PRUNED, Outcome, SweepRecords, TrialRecord
from ratoon_kedro.sweeping.space import nested
from ratoon_kedro.sweeping.study import Asked, Study

NOT_TRACKED = "its pipeline is not tracked; see 'enabled' and 'pipelines' in ratoon.yml"
POLL = 0.5  # seconds between two looks at what is being trained

logger = logging.getLogger(__name__)


class Sweep:
    """A sweep under way.

    Args:
        plan: What is to be done.
        records: Its runs.
        processes: Where trials run.
        report: Told each trial that has ended.
    """

    def __init__(
        self, plan: Plan, records: SweepRecords, processes: Processes, report: Callable[[TrialRecord], None]
    ) -> None:
        self._plan, self._records, self._processes, self._report = plan, records, processes, report
        self._study = Study(plan)
        self._asked: dict[str, Asked] = {}
        self._next = 0
        self._beat = 0.0
        self._checked = False
        self.done: list[TrialRecord] = []

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; None if none is complete."""
        complete = [each for each in self.done if each.outcome is Outcome.COMPLETE and each.value is not None]
        sign = -1.0 if self._plan.direction == "maximize" else 1.0
        return min(complete, key=lambda each: sign * (each.value or 0.0), default=None)

    def take_up(self) -> None:
        """Learn what an earlier process has found out; what was broken off is tried again."""
        broken = []
        for record in self._records.trials():
            self._next = max(self._next, record.number + 1)
            if record.outcome is Outcome.BROKEN_OFF:
                self._records.end(record.run_id, RunStatus.KILLED)
                broken.append(record)
            else:
                self._study.learn(record)
                self.done.append(record)
        again = [each for each in broken if not self._tried(each)]
        for record in again:
            self._study.repeat(record.values)
        if broken:
            logger.info("%d trials were broken off; %d of them are tried again", len(broken), len(again))

    def run(self) -> None:
        """Run trials until there are as many as wanted.

        Raises:
            InvalidInput: The first trial that ended well has no such metric.
        """
        while True:
            self._heartbeat()
            while len(self.done) + len(self._asked) < self._plan.trials and len(self._asked) < self._plan.jobs:
                self._start()
            if not self._asked:
                return
            for ended in self._processes.wait(POLL):
                self._take(ended)
            self._prune()

    def break_off(self) -> None:
        """End what runs; it is tried again when the sweep is resumed."""
        self._processes.close()
        for run_id in self._asked:
            self._records.end(run_id, RunStatus.KILLED)

    def _tried(self, broken: TrialRecord) -> bool:
        """Whether the values of a trial that was broken off were tried later on."""
        return any(each.number > broken.number and each.values == broken.values for each in self.done)

    def _start(self) -> None:
        asked = self._study.ask()
        run_id = self._records.start_trial(self._next, asked.values)
        self._next += 1
        self._asked[run_id] = asked
        self._processes.start(run_id, nested({**self._plan.params, **asked.values}))

    def _take(self, ended: Ended) -> None:
        record = self._records.read(ended.run_id)
        if record.outcome is Outcome.BROKEN_OFF:
            # The run is open, or its process was ended by somebody: it has failed, whatever became of it.
            self._records.end(ended.run_id, RunStatus.FAILED)
            why = NOT_TRACKED if ended.code == 0 else ended.last_line or f"exit code {ended.code}"
            record = msgspec.structs.replace(record, outcome=Outcome.FAILED, why=why)
        self._check_metric(record)
        self._finish(record)

    def _finish(self, record: TrialRecord) -> None:
        asked = self._asked.pop(record.run_id)
        if record.outcome is Outcome.COMPLETE:
            asked.should_stop(record.history)  # later trials are compared with its whole history
        asked.tell(self._study.inner, record.outcome, record.value)
        self.done.append(record)
        self._report(record)

    def _prune(self) -> None:
        if self._plan.watched is None:
            return
        for run_id, asked in list(self._asked.items()):
            history = self._records.history(run_id)
            if not asked.should_stop(history, self._plan.warmup):
                continue
            self._processes.stop([run_id])
            record = self._records.read(run_id)
            if record.outcome is not Outcome.COMPLETE:  # else it was faster
                self._records.mark(run_id, {PRUNED: str(max(history))})
                self._records.end(run_id, RunStatus.KILLED)
                record = self._records.read(run_id)
            self._finish(record)

    def _check_metric(self, record: TrialRecord) -> None:
        """Refuse at once a metric that no trial will have, and name parameters that nobody reads."""
        if self._checked:
            return
        if record.outcome is Outcome.COMPLETE:
            self._checked = True
            self._warn_of_unread(record)
        elif record.why == NO_METRIC:
            known = self._records.metrics(record.run_id)
            near = get_close_matches(self._plan.metric, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "give one that a node returns"
            raise InvalidInput(
                f"metric '{self._plan.metric}' is in no run of this pipeline (they have"
                f" {', '.join(known) or 'no metrics'}); {hint}"
            )

    def _warn_of_unread(self, record: TrialRecord) -> None:
        known = self._records.params(record.run_id)
        for name in self._plan.space:
            if name not in known and not any(key.startswith(f"{name}.") for key in known):
                logger.warning(
                    "parameter '%s' is received by no node of this pipeline (they receive %s); the sweep varies what"
                    " nobody reads",
                    name,
                    ", ".join(known) or "none",
                )

    def _heartbeat(self) -> None:
        if time.monotonic() - self._beat >= liveness.INTERVAL:
            self._beat = time.monotonic()
            self._records.mark(self._records.parent.run_id, {liveness.HEARTBEAT: str(now_ms())})
