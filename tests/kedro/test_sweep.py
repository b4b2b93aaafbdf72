"""``kedro ratoon sweep`` in a real project: what is tried, what is tracked, and how it survives being broken off."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratoon.entities import Run, RunStatus

if TYPE_CHECKING:
    from conftest import WineProject

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SPACE = ("-s", "model.depth=int(1,10)", "-s", "model.rate=log(1e-3,1)", "-s", "model.kind=choice(good,bad)")
PLAIN = ("ratoon", "sweep", "--metric", "result.score", *SPACE, "--seed", "3", "--pruner", "none")


@pytest.fixture(scope="module")
def searching(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with nothing in it but the pipeline that is tuned."""
    folder = shutil.copytree(template, tmp_path_factory.mktemp("searching") / "wine")
    pipelines = folder / "src" / "wine" / "pipelines"
    for old in pipelines.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    for old in (folder / "conf" / "base").glob("*.yml"):
        old.unlink()
    (folder / "conf" / "base" / "catalog.yml").write_text("notes: {type: MemoryDataset}\n")
    (pipelines / "search").mkdir()
    source = HERE / "pipelines" / "search"
    shutil.copy(source / "__init__.py", pipelines / "search")
    shutil.copy(source / "parameters.yml", folder / "conf" / "base" / "parameters.yml")
    return folder


@pytest.fixture
def project(searching: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    return fresh(searching)


def parent_of(project: WineProject) -> Run:
    (parent,) = (run for run in project.runs() if "mlflow.parentRunId" not in run.tags)
    return parent


def trials_of(project: WineProject) -> list[Run]:
    runs = [run for run in project.runs() if "mlflow.parentRunId" in run.tags]
    return sorted(runs, key=lambda run: (int(run.tags["ratoon.sweep.trial"]), run.start_time))


def tried(project: WineProject) -> list[tuple[str, ...]]:
    return [tuple(run.params[f"model.{name}"] for name in ("depth", "rate", "kind")) for run in trials_of(project)]


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_every_trial_is_a_tracked_run_under_one_parent(project: WineProject) -> None:
    done = project.kedro(*PLAIN, "--trials", "4", "--study", "hill", "--params", "work.steps=1")
    assert done.returncode == 0, done.stdout + done.stderr
    parent, trials = parent_of(project), trials_of(project)
    assert (parent.run_name, parent.status) == ("hill", RunStatus.FINISHED)
    assert {run.tags["mlflow.parentRunId"] for run in trials} == {parent.run_id}
    assert [run.run_name for run in trials] == ["hill-0", "hill-1", "hill-2", "hill-3"]
    assert {run.status for run in trials} == {RunStatus.FINISHED}
    assert {run.params["work.steps"] for run in trials} == {"1"}
    for run in trials:
        values = json.loads(run.tags["ratoon.sweep.values"])
        assert {name: str(value) for name, value in values.items()} == {name: run.params[name] for name in values}
        assert run.tags["kedro.command"].startswith("kedro run --params ")

    best = max(trials, key=lambda run: run.metrics["result.score"].value)
    assert parent.tags["ratoon.sweep.best_run"] == best.run_id
    assert parent.metrics["result.score"].value == best.metrics["result.score"].value
    summary = json.loads(project.read_artifact(parent, "sweep.json"))
    assert summary["best"] == int(best.tags["ratoon.sweep.trial"])
    assert [each["outcome"] for each in summary["trials"]] == ["complete"] * 4

    (line,) = (line for line in done.stdout.splitlines() if line.startswith("run it again: "))
    again = project.kedro(*shlex.split(line.removeprefix("run it again: kedro ")))
    assert again.returncode == 0, again.stdout + again.stderr
    repeated = project.runs()[0]
    assert repeated.metrics["result.score"].value == best.metrics["result.score"].value
    assert {key: repeated.params[key] for key in best.params} == best.params


def test_a_seed_makes_it_repeatable_and_going_on_tries_what_would_have_been_tried(
    searching: Path, fresh: Callable[[Path], WineProject]
) -> None:
    one, other = fresh(searching), fresh(searching)
    assert one.kedro(*PLAIN, "--trials", "13").returncode == 0
    assert other.kedro(*PLAIN, "--trials", "11", "--study", "hill").returncode == 0
    more = other.kedro(*PLAIN, "--trials", "13", "--study", "hill")
    assert more.returncode == 0, more.stdout + more.stderr
    assert len(tried(one)) == 13
    assert tried(one) == tried(other)
    # Nobody seeded this in the node: a forked process must not repeat what its parent would have drawn.
    assert len({run.metrics["result.luck"].value for run in trials_of(one)}) == 13


def test_jobs_run_side_by_side(project: WineProject) -> None:
    done = project.kedro(*PLAIN, "--trials", "4", "--jobs", "2", "--params", "work.pause=1")
    assert done.returncode == 0, done.stdout + done.stderr
    spans = [(run.start_time, run.end_time or 0) for run in trials_of(project)]
    assert any(start < other[1] and other[0] < end for start, end in spans for other in spans if other != (start, end))
    assert len(list(project.path.glob("started-*"))) == 4  # a process of its own for each


def test_a_sweep_that_was_killed_goes_on_and_repeats_what_was_under_way(project: WineProject) -> None:
    words = (*PLAIN, "--study", "hill", "--trials", "4", "--jobs", "2", "--params", "work.pause=1.5")
    running = project.start(*words)
    wait_for(lambda: len(list(project.path.glob("started-*"))) >= 3)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    before = {run.run_id: run for run in trials_of(project)}
    done_before = {run_id for run_id, run in before.items() if run.status is RunStatus.FINISHED}
    assert parent_of(project).status is RunStatus.RUNNING

    more = project.kedro("ratoon", "sweep", "--resume", parent_of(project).run_id)
    assert more.returncode == 0, more.stdout + more.stderr
    assert "4 trials: 4 complete" in more.stdout
    after = trials_of(project)
    complete = [run for run in after if run.status is RunStatus.FINISHED]
    assert done_before <= {run.run_id for run in complete}
    assert len(complete) == 4
    broken = [run for run in after if run.run_id in before and run.status is not RunStatus.FINISHED]
    assert broken
    assert {run.status for run in broken} == {RunStatus.KILLED}
    repeated = {run.tags["ratoon.sweep.values"] for run in complete}
    assert {run.tags["ratoon.sweep.values"] for run in broken} <= repeated
    assert parent_of(project).status is RunStatus.FINISHED


def test_ctrl_c_ends_every_trial_and_says_how_to_go_on(project: WineProject) -> None:
    running = project.start(*PLAIN, "--trials", "6", "--jobs", "2", "--params", "work.pause=30")
    wait_for(lambda: len(list(project.path.glob("started-*"))) == 2)
    running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    parent = parent_of(project)
    assert f"go on with: kedro ratoon sweep --resume {parent.run_id}" in output
    assert "Traceback" not in output
    assert parent.status is RunStatus.KILLED
    assert {run.status for run in trials_of(project)} == {RunStatus.KILLED}
    for started in project.path.glob("started-*"):
        assert not Path("/proc", started.name.removeprefix("started-")).exists()


def test_only_one_process_goes_on_with_a_sweep(project: WineProject) -> None:
    words = (*PLAIN, "--study", "hill", "--trials", "2", "--params", "work.pause=20")
    running = project.start(*words)
    try:
        wait_for(lambda: list(project.path.glob("started-*")))
        second = project.kedro(*words)
        assert second.returncode == 2
        assert "sweep 'hill' is under way" in second.stderr
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_trials_that_are_worse_are_stopped(project: WineProject, pruner: str) -> None:
    words = ("--trials", "8", "--seed", "5", "--pruner", pruner, "--intermediate", "height")
    done = project.kedro(
        *("ratoon", "sweep", "--metric", "result.score", "-s", "model.depth=int(1,10)", "--sampler", "random"),
        *(*words, "--params", "work.steps=4,work.pause=0.6"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pruned = [run for run in trials_of(project) if "ratoon.sweep.pruned" in run.tags]
    assert pruned
    for run in pruned:
        assert run.status is RunStatus.KILLED
        assert "result.score" not in run.metrics
    best = max(run.metrics["height"].value for run in trials_of(project))
    assert parent_of(project).metrics["result.score"].value == best
    assert f"{len(pruned)} pruned" in done.stdout


def test_failures_count_and_are_shown(project: WineProject) -> None:
    fail = "work.fail_at=[1],work.die_at=[2]"
    words = ("ratoon", "sweep", "--metric", "result.score", "-s", "model.depth=choice(1,2,7)", "--sampler", "random")
    done = project.kedro(*words, "--trials", "8", "--seed", "1", "--params", fail)
    assert done.returncode == 0, done.stdout + done.stderr
    by_depth = {run.tags["ratoon.sweep.values"]: run.status for run in trials_of(project)}
    assert by_depth == {
        '{"model.depth": 1}': RunStatus.FAILED,
        '{"model.depth": 2}': RunStatus.FAILED,
        '{"model.depth": 7}': RunStatus.FINISHED,
    }
    assert "failed RuntimeError: depth 1 is too much" in done.stdout
    assert len(trials_of(project)) == 8


def test_nothing_but_failures_is_a_failure(project: WineProject) -> None:
    words = ("ratoon", "sweep", "--metric", "result.score", "--seed", "1")
    done = project.kedro(*words, "--trials", "2", "-s", "model.depth=choice(1)", "--params", "work.fail_at=[1]")
    assert done.returncode == 1
    assert parent_of(project).status is RunStatus.FAILED
    assert "2 trials: 2 failed" in done.stdout


def test_a_metric_that_no_run_has_ends_it_at_once(project: WineProject) -> None:
    done = project.kedro("ratoon", "sweep", "--metric", "result.scor", "-s", "model.depth=int(1,3)", "--trials", "9")
    assert done.returncode == 2
    assert "metric 'result.scor' is in no run of this pipeline" in done.stderr
    assert "did you mean 'result.score'?" in done.stderr
    assert len(trials_of(project)) == 1
    assert parent_of(project).status is RunStatus.FAILED


def test_a_parameter_that_nobody_reads_is_named(project: WineProject) -> None:
    done = project.kedro("ratoon", "sweep", "--metric", "result.score", "-s", "modell.depth=int(1,3)", "--trials", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    output = " ".join((done.stdout + done.stderr).split())
    assert "parameter 'modell.depth' is received by no node of this pipeline" in output


def test_secrets_are_in_no_run_and_must_be_given_again(project: WineProject) -> None:
    words = (*PLAIN, "--study", "hill", "--trials", "1")
    done = project.kedro(*words, "--params", "db.password=s3cret-1")
    assert done.returncode == 0, done.stdout + done.stderr
    for run in project.runs():
        assert "s3cret" not in str(run.tags)
        assert "password=[redacted]" in run.tags["ratoon.command"]
    assert b"s3cret" not in project.read_artifact(parent_of(project), "sweep.json")
    again = project.kedro("ratoon", "sweep", "--resume", parent_of(project).run_id, "--trials", "2")
    assert again.returncode == 2
    assert "give --params 'db.password=…'" in again.stderr


def test_the_file_says_what_options_do_not(project: WineProject) -> None:
    project.write(
        "conf/base/sweep.yml",
        "metric: result.score\ntrials: 2\nseed: 1\nspace:\n  model.kind: [good, bad]\n  model.depth: int(1, 3)\n",
    )
    done = project.kedro("ratoon", "sweep", "--trials", "1", "-s", "model.depth=int(7,7)")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = trials_of(project)
    assert run.params["model.depth"] == "7"
    assert run.params["model.kind"] in ("good", "bad")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--metric", "m"), "sweep has no space"),
        (("-s", "a=int(1,2)"), "sweep has no metric"),
        (("--metric", "m", "-s", "a=int(2,1)"), "its bounds are the wrong way round"),
        (("--metric", "m", "-s", "a=int(1,2)", "--pipelin", "x"), "are refused by 'kedro run'"),
        (("--metric", "m", "-s", "a=int(1,2)", "--params", "x"), "is no assignment"),
        (("--resume", "nothing"), "run 'nothing' is none of the latest"),
    ],
)
def test_bad_input_is_one_line(project: WineProject, words: tuple[str, ...], complaint: str) -> None:
    done = project.kedro("ratoon", "sweep", *words)
    assert done.returncode in (1, 2)
    assert complaint in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert project.runs() == []


def test_a_project_that_must_not_be_forked_is_not(project: WineProject) -> None:
    (project.path / "src" / "tensorflow.py").touch()
    file = project.path / "src" / "wine" / "pipelines" / "search" / "__init__.py"
    file.write_text(file.read_text().replace("import ratoon\n", "import tensorflow\n\nimport ratoon\n"))
    done = project.kedro(*PLAIN, "--trials", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [run.status for run in trials_of(project)] == [RunStatus.FINISHED] * 2


def test_a_fresh_python_for_each_trial_gives_the_same(searching: Path, fresh: Callable[[Path], WineProject]) -> None:
    forked, other = fresh(searching), fresh(searching)
    assert forked.kedro(*PLAIN, "--trials", "2").returncode == 0
    assert other.kedro(*PLAIN, "--trials", "2", "--fresh").returncode == 0
    assert tried(forked) == tried(other)
    assert [run.metrics["result.score"].value for run in trials_of(forked)] == [
        run.metrics["result.score"].value for run in trials_of(other)
    ]


def test_without_optuna_it_says_what_to_install(project: WineProject, tmp_path: Path) -> None:
    (tmp_path / "optuna.py").write_text("raise ImportError('no optuna')\n")
    done = project.kedro(*PLAIN, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert "needs the package 'optuna'; pip install 'ratoon[sweep]'" in done.stderr
    assert project.runs() == []


def test_a_pipeline_that_is_not_tracked_cannot_be_tuned(project: WineProject) -> None:
    project.write("conf/base/ratoon.yml", "enabled: false\n")
    done = project.kedro(*PLAIN, "--trials", "1")
    assert done.returncode == 1
    assert "its pipeline is not tracked" in done.stdout
