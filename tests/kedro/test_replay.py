"""``kedro ratoon replay`` in a real project in a real repository."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratoon.entities import Run, RunStatus
from ratoon.tracking.locations import artifact_key

if TYPE_CHECKING:
    from conftest import WineProject

pytestmark = pytest.mark.slow

RUN = ("run", "--pipelines", "training", "--params", "model.n_estimators=3")
LIGHT = ("run", "--pipelines", "light")


def git(project: WineProject, *words: str) -> str:
    command = ["git", "-c", "user.name=anna", "-c", "user.email=anna@example.org", *words]
    return subprocess.run(command, cwd=project.path, check=True, capture_output=True, text=True).stdout.strip()


def commit(project: WineProject, message: str) -> str:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", message)
    return git(project, "rev-parse", "HEAD")


def change(project: WineProject, path: str, old: str, new: str) -> None:
    file = project.path / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def scores(run: Run) -> dict[str, float]:
    return {key: metric.value for key, metric in run.metrics.items() if not key.startswith("kedro/")}


def replayed(project: WineProject) -> Run:
    return next(run for run in project.runs() if "ratoon.replay_of" in run.tags)


@pytest.fixture
def project(template: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    project = fresh(template)
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "begin")
    return project


def test_a_clean_clone_at_the_commit_gives_the_same_metrics(project: WineProject) -> None:
    assert project.kedro(*RUN).returncode == 0
    before = project.only_run()
    change(project, "conf/base/parameters.yml", "max_depth: 4", "max_depth: 1")
    change(project, "src/wine/pipelines/training/nodes.py", "random_state=model", "random_state=1 + model")
    commit(project, "change everything")
    reports = sorted((project.path / "data" / "08_reporting").rglob("*.json"))
    files = sorted(project.path.iterdir())

    done = project.kedro("ratoon", "replay", before.run_id[:8])
    assert done.returncode == 0, done.stdout + done.stderr
    after = replayed(project)
    assert scores(after) == scores(before) != {}
    assert after.params == before.params
    assert after.status is RunStatus.FINISHED
    assert after.tags["ratoon.replay_of"] == before.run_id
    assert after.tags["kedro.command"] == before.tags["kedro.command"]
    assert after.tags["mlflow.source.git.commit"] == before.tags["mlflow.source.git.commit"]
    assert f"every metric of run {before.run_id} is the same in its replay {after.run_id}" in done.stdout
    # Nothing of the working tree was touched, and the clone is gone.
    assert git(project, "status", "--porcelain") == ""
    assert sorted((project.path / "data" / "08_reporting").rglob("*.json")) == reports
    assert sorted(project.path.iterdir()) == files
    assert not Path(after.tags["mlflow.source.name"]).exists()


def test_what_was_not_committed_is_replayed_too(project: WineProject) -> None:
    change(project, "conf/base/parameters.yml", "max_depth: 4", "max_depth: 1")
    assert project.kedro(*RUN).returncode == 0
    before = project.only_run()
    assert before.tags["ratoon.git.dirty"] == "true"
    git(project, "checkout", "--quiet", ".")

    done = project.kedro("ratoon", "replay", "latest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert replayed(project).params["model.max_depth"] == "1"
    assert scores(replayed(project)) == scores(before)


def test_a_patch_that_was_not_recorded_is_refused(project: WineProject) -> None:
    change(project, "conf/base/parameters.yml", "max_depth: 4", "max_depth: 1")
    assert project.kedro(*LIGHT).returncode == 0
    run = project.only_run()
    project.client().artifacts.delete(f"{artifact_key(run.artifact_uri)}/kedro/git.patch")
    done = project.kedro("ratoon", "replay", run.run_id)
    assert done.returncode == 1
    assert f"patch of run '{run.run_id}' is not recorded" in done.stderr
    assert "use --here" in done.stderr


def test_a_commit_that_is_not_there_is_named(project: WineProject) -> None:
    change(project, "conf/base/parameters.yml", "max_depth: 4", "max_depth: 1")
    gone = commit(project, "to be forgotten")
    assert project.kedro(*LIGHT).returncode == 0
    git(project, "reset", "--quiet", "--hard", "HEAD~1")
    git(project, "reflog", "expire", "--expire=now", "--all")
    git(project, "gc", "--quiet", "--prune=now")
    done = project.kedro("ratoon", "replay", "latest")
    assert done.returncode == 1
    assert f"commit '{gone}' is not in the repository" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_secrets_must_be_given_again(project: WineProject) -> None:
    project.write("conf/base/ratoon.yml", "redact: [^action$]\n")
    commit(project, "hide")
    assert project.kedro(*LIGHT, "--params", "action=work,seed=5").returncode == 0
    done = project.kedro("ratoon", "replay", "latest")
    assert done.returncode == 2
    assert "give --params 'action=…'" in done.stderr

    given = project.kedro("ratoon", "replay", "latest", "--params", "action=work")
    assert given.returncode == 0, given.stdout + given.stderr
    assert replayed(project).params == {"seed": "5", "action": "[redacted]"}
    assert "action=[redacted]" in replayed(project).tags["kedro.command"]


def test_what_is_configured_here_only_comes_along(project: WineProject) -> None:
    project.write("conf/local/parameters.yml", "seed: 9\n")
    assert project.kedro(*LIGHT).returncode == 0
    assert project.only_run().params["seed"] == "9"
    assert project.kedro("ratoon", "replay", "latest").returncode == 0
    without = project.kedro("ratoon", "replay", "latest", "--no-local-conf")
    assert without.returncode == 1
    assert "differs: doubled: 10.0 before, 5.0 now" in without.stdout


def test_other_metrics_are_named_and_tolerated_if_asked(project: WineProject) -> None:
    assert project.kedro(*LIGHT, "--params", "seed=100").returncode == 0
    run = project.only_run()
    other = project.kedro("ratoon", "replay", run.run_id, "--params", "seed=101")
    assert other.returncode == 1
    assert "differs: number: 101.0 before, 102.0 now" in other.stdout
    near = project.kedro("ratoon", "replay", run.run_id, "--params", "seed=101", "--tolerance", "0.02")
    assert near.returncode == 0, near.stdout + near.stderr


def test_a_replay_that_fails_says_so(project: WineProject) -> None:
    assert project.kedro(*LIGHT).returncode == 0
    done = project.kedro("ratoon", "replay", "latest", "--params", "action=fail")
    assert done.returncode == 1
    assert "is FAILED (exit code 1)" in done.stderr
    assert replayed(project).status is RunStatus.FAILED


def test_a_clone_may_stay(project: WineProject, tmp_path: Path) -> None:
    assert project.kedro(*LIGHT).returncode == 0
    project.write("conf/local/credentials.yml", "server: {token: hunter2}\n")
    done = project.kedro("ratoon", "replay", "latest", "--into", str(tmp_path / "clone"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "clone" / "data" / "01_raw" / "wines.csv").is_file()
    assert (tmp_path / "clone" / "conf" / "local" / "credentials.yml").is_symlink()
    again = project.kedro("ratoon", "replay", "latest", "--into", str(tmp_path / "clone"))
    assert again.returncode == 2
    assert "is not empty" in again.stderr


def test_a_dry_run_says_what_would_be_done(project: WineProject) -> None:
    assert project.kedro(*LIGHT).returncode == 0
    run = project.only_run()
    done = project.kedro("ratoon", "replay", "latest", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("git", "cp", "cd", "kedro"))]
    assert lines == [
        f"git clone --quiet --no-checkout {project.path} FOLDER",
        f"git -C FOLDER checkout --quiet --detach {run.tags['mlflow.source.git.commit']}",
        f"cp -r {project.path / 'data'} FOLDER/data",
        "cd FOLDER",
        "kedro run --pipelines light",
    ]
    assert len(project.runs()) == 1


def test_without_a_repository_it_runs_here(template: Path, fresh: Callable[[Path], WineProject]) -> None:
    project = fresh(template)
    assert project.kedro(*LIGHT).returncode == 0
    refused = project.kedro("ratoon", "replay", "latest")
    assert refused.returncode == 1
    assert "has no commit recorded" in refused.stderr
    done = project.kedro("ratoon", "replay", "latest", "--here")
    assert done.returncode == 0, done.stdout + done.stderr
    assert replayed(project).tags["mlflow.source.name"] == str(project.path)
