"""The log of a run: every line of it, from all threads and processes, and no line of another run."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratoon.tracking.locations import artifact_key
from ratoon_kedro.describing import logs
from ratoon_kedro.describing.log_files import LONGEST, LogFile, gather

if TYPE_CHECKING:
    from conftest import SturdyProject, WineProject

RUNNERS = [
    ("SequentialRunner", None),
    ("ThreadRunner", None),
    ("ParallelRunner", "fork"),
    ("ParallelRunner", "spawn"),
    ("ParallelRunner", "forkserver"),
]
# What Kedro and the project say about the pipeline, in whatever order.
SAID = (
    "INFO    kedro.io.data_catalog: Loading data from parameters (MemoryDataset)...",
    "INFO    kedro.io.data_catalog: Loading data from first (JSONReport)...",
    "INFO    kedro.pipeline.node: Running node: begin: begin([parameters]) -> [first;received]",
    "INFO    kedro.io.data_catalog: Saving data to last (JSONReport)...",
    "WARNING wine.pipelines.sturdy: begin with seed 4 for https://[redacted]@db/wines",
    "WARNING wine.pipelines.sturdy: end",
)


class Catalog:
    """Stands for a catalog that somebody works with."""

    def load(self, text: str) -> None:
        logging.getLogger("kedro.tests").warning(text)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Runs whose logs are closed at the end."""
    runs: list[str] = []
    yield runs
    for run_id in runs:
        logs.finish(run_id)
    logs.bind("")


def lines(path: Path | None) -> list[str]:
    """What was said, without when."""
    assert path is not None
    text = path.read_text(encoding="utf-8")
    return [line.partition("Z ")[2] or line for line in text.splitlines()]


def in_a_thread(work: object) -> None:
    thread = threading.Thread(target=work)  # type: ignore[arg-type]
    thread.start()
    thread.join()


@pytest.mark.slow
@pytest.mark.parametrize(("runner", "method"), RUNNERS)
def test_every_runner_keeps_the_same_log(sturdy: SturdyProject, runner: str, method: str | None) -> None:
    env = {"KEDRO_MP_CONTEXT": method} if method else {}
    done = sturdy.kedro(*sturdy.RUN, "--runner", runner, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    text = sturdy.read_artifact(sturdy.only_run(), "kedro/run.log").decode()
    said = [line.partition("Z ")[2] for line in text.splitlines()]
    for line in SAID:
        assert said.count(line) == (2 if "from first" in line else 1), line
    assert len([line for line in said if "Completed node: " in line]) == 4
    assert len([line for line in said if "Running node: " in line]) == 4
    assert said[-1].startswith(f"INFO    {said[-1].split()[1]} Pipeline execution completed successfully")
    assert "hunter2" not in text


@pytest.mark.slow
def test_the_log_can_be_turned_off(sturdy: SturdyProject) -> None:
    sturdy.write("conf/base/ratoon.yml", "logs: false\n")
    assert sturdy.kedro(*sturdy.RUN).returncode == 0
    folder = f"{artifact_key(sturdy.only_run().artifact_uri)}/kedro"
    names = {entry.path.rpartition("/")[2] for entry in sturdy.client().artifacts.list(folder)}
    assert {"pipeline.json", "configuration.json"} <= names
    assert "run.log" not in names


@pytest.mark.slow
def test_levels_and_loggers_are_those_that_the_project_configured(sturdy: SturdyProject) -> None:
    sturdy.write(
        "conf/logging.yml",
        """
version: 1
disable_existing_loggers: false
handlers:
  console: {class: logging.StreamHandler, level: WARNING, stream: ext://sys.stdout}
loggers:
  kedro: {level: DEBUG}
  wine: {level: INFO, handlers: [console], propagate: false}
root: {handlers: [console]}
""",
    )
    done = sturdy.kedro(*sturdy.RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    text = sturdy.read_artifact(sturdy.only_run(), "kedro/run.log").decode()
    assert [line.partition("Z ")[2] for line in text.splitlines() if "wine" in line] == [
        "WARNING wine.pipelines.sturdy: begin with seed 4 for https://[redacted]@db/wines",
        "WARNING wine.pipelines.sturdy: end",
    ]
    assert "Running node" not in text, "no handler shows it"


def test_lines_go_to_the_run_of_the_thread_that_says_them(opened: list[str], tmp_path: Path) -> None:
    first, second = Catalog(), Catalog()
    opened += ["first", "second"]
    logs.begin("first", first, str(tmp_path / "first.log"))
    path = str(tmp_path / "second.log")
    in_a_thread(lambda: (logs.begin("second", second, path), Catalog().load("from the second's own thread")))
    Catalog().load("from the first's own thread")
    in_a_thread(lambda: first.load("with the first's catalog"))
    in_a_thread(lambda: second.load("with the second's catalog"))
    in_a_thread(lambda: (logs.bind("second"), Catalog().load("from a node of the second")))
    in_a_thread(lambda: Catalog().load("from nobody knows whom"))
    in_a_thread(lambda: (logs.bind(""), Catalog().load("from another run's thread")))
    assert lines(logs.finish("second")) == [
        "WARNING kedro.tests: from the second's own thread",
        "WARNING kedro.tests: with the second's catalog",
        "WARNING kedro.tests: from a node of the second",
        "WARNING kedro.tests: from nobody knows whom",
    ]
    in_a_thread(lambda: Catalog().load("when one run is left"))
    assert lines(logs.finish("first")) == [
        "WARNING kedro.tests: from the first's own thread",
        "WARNING kedro.tests: with the first's catalog",
        "WARNING kedro.tests: from nobody knows whom",
        "WARNING kedro.tests: when one run is left",
    ]
    assert logs.finish("first") is None


def test_tracebacks_are_kept_and_broken_messages_do_no_harm(
    opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kedro's own handler raises what ours must survive.
    monkeypatch.setattr(logging.getLogger("kedro"), "handlers", [])
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.getLogger("kedro"), "propagate", True)
    opened.append("run")
    logs.begin("run", Catalog(), str(tmp_path / "run.log"))
    logger = logging.getLogger("kedro.tests")
    try:
        raise ValueError("at ftp://anna:hunter2@db/x")
    except ValueError:
        logger.exception("it failed")
    logger.propagate, raising = True, logging.raiseExceptions
    logging.raiseExceptions = False
    try:
        logger.warning("%d and %d", "one")
        logger.warning("a lone surrogate \ud800")
    finally:
        logging.raiseExceptions = raising
    said = lines(logs.finish("run"))
    assert said[:2] == ["ERROR   kedro.tests: it failed", "Traceback (most recent call last):"]
    assert said[-3:] == [
        "ValueError: at ftp://[redacted]@db/x",
        "WARNING kedro.tests: '%d and %d'",
        "WARNING kedro.tests: a lone surrogate \\ud800",
    ]


ALONE = """
import logging, sys
from ratoon_kedro.describing import logs
logs.begin("run", object(), sys.argv[1])
logging.getLogger("somewhere").warning("shown as ever")
logging.getLogger("somewhere").info("not shown")
print(logs.finish("run").read_text())
assert not logging.root.handlers
logging.getLogger("somewhere").warning("and afterwards")
"""


def test_where_no_handler_is_warnings_are_still_shown(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE, tmp_path / "run.log"], capture_output=True, text=True, check=True
    )
    assert done.stderr == "shown as ever\nand afterwards\n"
    assert done.stdout.strip().endswith("WARNING somewhere: shown as ever")


def test_of_a_long_log_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    path, kept = str(tmp_path / "run.log"), 100_000
    files = [LogFile(path, kept), LogFile(path, kept), LogFile(path, kept)]
    for number in range(30_000):
        files[number % 3].append(f"line {number} {'x' * 20}\n".encode())
    for file in files:
        file.close()
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 2 * kept, "more than that is never on the disk"
    gather(path, kept)
    assert [each.name for each in tmp_path.iterdir()] == ["run.log"]
    text = Path(path).read_text(encoding="utf-8")
    assert kept * 0.9 < len(text) < kept * 1.3
    numbers = [int(line.split()[1]) for line in text.splitlines() if line.startswith("line ")]
    assert numbers[:3] == [0, 1, 2]
    assert numbers[-1] == 29_999
    assert numbers == sorted(numbers)
    (note,) = [line for line in text.splitlines() if line.startswith("[")]
    assert note == "[… the log is longer than 100,000 bytes: lines are left out here …]"


WRITER = """
import sys
from ratoon_kedro.describing.log_files import LogFile
file = LogFile(sys.argv[1], 200_000)
for number in range(20_000):
    file.append(f"{sys.argv[2]} {number} {'x' * 30}\\n".encode())
assert file.failed is None
"""


def test_several_processes_write_whole_lines(tmp_path: Path) -> None:
    path = str(tmp_path / "run.log")
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(name)]) for name in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    gather(path, 200_000)
    text = Path(path).read_text(encoding="utf-8")
    assert all(line.endswith("x" * 30) for line in text.splitlines() if not line.startswith("["))
    assert len(text) < 300_000


def test_threads_that_write_while_the_file_is_let_go_write_into_no_other(tmp_path: Path) -> None:
    for number in range(20):
        file = LogFile(str(tmp_path / f"{number}.log"), 2_000)

        def write(file: LogFile = file) -> None:
            for _ in range(300):
                file.append(b"x" * 50)

        threads = [threading.Thread(target=write) for _ in range(3)]
        for thread in threads:
            thread.start()
        file.close()
        with (tmp_path / "other").open("wb") as other:
            for thread in threads:
                thread.join()
            assert os.fstat(other.fileno()).st_size == 0
        assert file.failed is None
        file.close()


def test_one_entry_is_not_longer_than_it_may_be(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "run.log"))
    file.append(b"x" * 3 * LONGEST)
    file.close()
    assert (tmp_path / "run.log").stat().st_size == LONGEST


def test_a_worker_that_comes_too_late_finds_no_log_and_makes_none(tmp_path: Path, opened: list[str]) -> None:
    opened.append("late")
    logs.join("late", str(tmp_path / "gone" / "run.log"))
    assert logs.finish("late") is None


@pytest.mark.slow
def test_a_run_that_fails_keeps_its_log_too(project: WineProject) -> None:
    assert project.kedro("run", "--pipelines", "light", "--params", "action=fail").returncode == 1
    text = project.read_artifact(project.only_run(), "kedro/run.log").decode()
    assert "Node act: act([number;params:action]) -> [scores] failed with error:" in text
    assert "cannot reach https://[redacted]@db/wines" in text
    assert "You can resume the pipeline run" in text or "No nodes ran" in text
