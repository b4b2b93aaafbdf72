"""Repeating a tracked run: the clone, the process, the comparison. What is decided is in the modules it imports."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from msgspec import Struct

from ratoon.cli.selecting import find_run
from ratoon.clock import now_ms
from ratoon.entities import Run, RunStatus
from ratoon.errors import InvalidInput, NotFound
from ratoon.tracking.client import Client
from ratoon.tracking.locations import artifact_key
from ratoon_kedro.commands.core_cli import run_core, run_process
from ratoon_kedro.describing.patching import COMMIT, DIRTY, PATCH
from ratoon_kedro.options.project_store import ProjectStore
from ratoon_kedro.replaying import clones
from ratoon_kedro.replaying.recorded import REPLAY_OF, Recorded, differences, parse_params, recorded, values_of

_FOLDER = Path("FOLDER")  # stands for the clone where it is only talked about
_OPEN = (RunStatus.RUNNING, RunStatus.SCHEDULED)


class Wishes(Struct, frozen=True, kw_only=True):
    """How a run is to be repeated.

    Attributes:
        here: In the working tree rather than in a clone.
        into: Where the clone is left; a folder that is removed afterwards if None.
        data: How the clone gets the data: copy, link or none.
        local_conf: Whether it gets what is configured on this machine only.
        tolerance: How far two metrics may be apart.
    """

    here: bool = False
    into: Path | None = None
    data: str = "copy"
    local_conf: bool = True
    tolerance: float = 0.0


class Replay:
    """A run that is to be repeated.

    Args:
        store: The project and where its runs are.
        named: The run: an id, the beginning of one, a name, or ``latest``.
        params: Texts of ``--params``, for what takes the place of recorded values.
        wishes: How.

    Raises:
        RatoonError: The run, its commit or its patch is missing, or secrets are.
    """

    def __init__(self, store: ProjectStore, named: str, params: Sequence[str], wishes: Wishes) -> None:
        self._store, self._wishes = store, wishes
        self._client = Client(store.settings)
        self._params = parse_params(params)
        self._recorded: Recorded = recorded(find_run(self._client, named), self._params)
        self._repository: clones.Repository | None = None
        if not wishes.here:
            if self._recorded.commit is None:
                raise NotFound(
                    f"run '{self._before.run_id}' has no commit recorded (its project was in no git repository); use"
                    " --here to run the code as it is now"
                )
            self._repository = clones.repository_of(store.path)
            clones.check_commit(self._repository, self._recorded.commit)
        self._patch = self._read_patch() if self._repository and self._recorded.dirty else b""

    @property
    def _before(self) -> Run:
        return self._recorded.run

    def commands(self) -> list[list[str]]:
        """What would be done, as commands of a shell."""
        if self._repository is None:
            return [["cd", str(self._store.path)], list(self._recorded.words)]
        folder = self._wishes.into or _FOLDER
        project = folder / self._repository.prefix
        steps = clones.clone_commands(self._repository, self._recorded.commit or "", folder)
        if self._patch:
            steps.append(["git", "-C", str(folder), "apply", "--binary", Path(PATCH).name])
        if self._wishes.data != "none":
            copy = ["cp", "-r"] if self._wishes.data == "copy" else ["ln", "-s"]
            steps.append([*copy, str(self._store.path / clones.DATA), str(project / clones.DATA)])
        return [*steps, ["cd", str(project)], list(self._recorded.words)]

    def run(self) -> int:
        """Repeat the run, print both side by side; returns the exit code."""
        with self._project() as folder:
            after = self._start()
            code = self._execute(folder, after.run_id)
        after = self._ended(after.run_id, code)
        self._client.close()
        if code > 128:
            return code
        if code or after.status is not RunStatus.FINISHED:
            hint = self._why_failed if code else "see 'enabled' and 'pipelines' in ratoon.yml"
            click.echo(f"ratoon: replay '{after.run_id}' is {after.status} (exit code {code}); {hint}", err=True)
            return 1
        sys.stdout.flush()
        run_core(self._store, ["compare", self._before.run_id, after.run_id])
        return self._verdict(after)

    @property
    def _why_failed(self) -> str:
        if self._repository is None:
            return "see above"
        return "see above (files that git did not track are not in the clone; use --here if the run needs them)"

    def _verdict(self, after: Run) -> int:
        differing = differences(values_of(self._before), values_of(after), self._wishes.tolerance)
        for line in differing:
            click.echo(f"differs: {line}")
        if differing:
            click.echo(f"{len(differing)} of the metrics of run {self._before.run_id} are not the same in the replay")
            return 1
        click.echo(f"every metric of run {self._before.run_id} is the same in its replay {after.run_id}")
        return 0

    @contextmanager
    def _project(self) -> Iterator[Path]:
        """The folder in which the command runs."""
        if self._repository is None:
            yield self._store.path
        elif self._wishes.into is not None:
            yield self._clone(self._repository, self._wishes.into)
        else:
            with tempfile.TemporaryDirectory(prefix="ratoon-replay-", ignore_cleanup_errors=True) as folder:
                yield self._clone(self._repository, Path(folder) / "clone")

    def _clone(self, repository: clones.Repository, folder: Path) -> Path:
        project = clones.clone(repository, self._recorded.commit or "", folder)
        clones.apply_patch(folder, self._patch)
        if self._wishes.local_conf:
            conf = self._store.conf_source
            if conf.is_relative_to(self._store.path):
                clones.bring_configuration(conf, project / conf.relative_to(self._store.path))
        clones.bring_data(self._store.path, project, self._wishes.data)
        return project

    def _start(self) -> Run:
        """A run that knows what it repeats, before anything can go wrong."""
        experiment = self._client.tracking.get_experiment(self._before.experiment_id)
        started = self._client.start_run(
            experiment=experiment.name,
            run_name=self._before.run_name,
            run_id=uuid.uuid4().hex,
            tags={REPLAY_OF: self._before.run_id, "ratoon.command": self._command()},
        )
        return started.info

    def _command(self) -> str:
        """The replay's own command, which anybody may read in its run."""
        redactor = self._store.redactor
        shown = ",".join(f"{key}={redactor.clean(key, value)}" for key, value in self._params.items())
        return shlex.join(["kedro", "ratoon", "replay", self._before.run_id, *(["--params", shown] if shown else [])])

    def _execute(self, folder: Path, run_id: str) -> int:
        environment = {**os.environ, **self._store.variables(), "RATOON_RUN_ID": run_id}
        for name in ("RATOON_KEDRO", "KEDRO_ENV"):  # the command names the environment, and a replay is tracked
            environment.pop(name, None)
        return run_process([sys.executable, "-m", *self._recorded.words], folder, environment)

    def _ended(self, run_id: str, code: int) -> Run:
        """The replay's run, which somebody must end if its process did not."""
        run = self._client.tracking.get_run(run_id)
        if run.status in _OPEN:
            status = RunStatus.KILLED if code > 128 else RunStatus.FAILED
            run = self._client.tracking.update_run(run_id, status=status, end_time=now_ms())
        return run

    def _read_patch(self) -> bytes:
        try:
            return b"".join(self._client.artifacts.read(f"{artifact_key(self._before.artifact_uri)}/{PATCH}"))
        except (NotFound, InvalidInput) as error:
            raise NotFound(
                f"patch of run '{self._before.run_id}' is not recorded, and its code had changes beside commit"
                f" {self._before.tags.get(COMMIT, '')[:8]} ({DIRTY} is true); use --here to run the code as it is now"
            ) from error
