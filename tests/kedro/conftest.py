"""A real Kedro project, made once by the example's own script and copied for each test that changes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ratoon.entities import Run
from ratoon.settings import load_settings
from ratoon.tracking.client import Client

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "kedro_wine"
KEDRO = Path(sys.executable).with_name("kedro")
PIPELINES = ("awkward", "chunks", "lab", "light")


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The process's own environment without anything that steers ratoon or Kedro."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("RATOON_", "KEDRO_"))}
    return kept | {"KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "COLUMNS": "1000", **(extra or {})}


def complaints(output: str) -> list[str]:
    """What ratoon had to say about itself."""
    return [" ".join(line.split()) for line in output.splitlines() if "ratoon could not" in line]


@dataclass
class WineProject:
    path: Path

    complaints = staticmethod(complaints)

    def add_pipeline(self, name: str) -> None:
        """Add one of the pipelines in ``pipelines/``, with its configuration."""
        source = HERE / "pipelines" / name
        target = self.path / "src" / "wine" / "pipelines" / name
        target.mkdir()
        shutil.copy(source / "__init__.py", target)
        for file in source.glob("*.yml"):
            shutil.copy(file, self.path / "conf" / "base" / f"{file.stem}_{name}.yml")

    @staticmethod
    def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return clean_environment(extra)

    def kedro(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [KEDRO, *arguments], cwd=self.path, env=clean_environment(env), capture_output=True, text=True, timeout=300
        )

    def start(
        self, *arguments: str, env: Mapping[str, str] | None = None, new_group: bool = False
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [KEDRO, *arguments],
            cwd=self.path,
            env=clean_environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=new_group,
        )

    def write(self, path: str, text: str) -> None:
        (self.path / path).write_text(text, encoding="utf-8")

    def client(self, **given: Any) -> Client:
        return Client(load_settings(self.path, {}, **given))

    def runs(self) -> list[Run]:
        store = self.client().tracking
        return [store.get_run(run.run_id) for run in store.search_runs().items]

    def only_run(self) -> Run:
        (run,) = self.runs()
        return run

    def read_artifact(self, run: Run, path: str) -> bytes:
        from ratoon.tracking.locations import artifact_key

        return b"".join(self.client().artifacts.read(f"{artifact_key(run.artifact_uri)}/{path}"))


class Outcome(NamedTuple):
    """What a user sees of a run: its exit code, and the files it left."""

    code: int
    files: dict[str, bytes]


@dataclass
class SturdyProject(WineProject):
    """A project whose pipeline ``sturdy`` writes files and does what it is told: work, fail, wait, leave."""

    RUN = ("run", "--pipelines", "sturdy")
    OFF = {"RATOON_KEDRO": "0"}

    def acting(self, action: str, runner: str = "SequentialRunner") -> tuple[str, ...]:
        """The arguments of a run whose second node does this."""
        return (*self.RUN, "--params", f"action={action}", "--runner", runner)

    def outcome(self, *arguments: str, env: Mapping[str, str] | None = None) -> Outcome:
        """Run with nothing there from an earlier run."""
        self.clear()
        return Outcome(self.kedro(*arguments, env=env).returncode, self.files())

    def clear(self) -> None:
        """Remove what an earlier run left."""
        shutil.rmtree(self.path / "data" / "02_sturdy", ignore_errors=True)
        for path in [*self.path.glob("waiting.*"), self.path / "go-on"]:
            path.unlink(missing_ok=True)

    def files(self) -> dict[str, bytes]:
        """The pipeline's output files, by name."""
        return {path.name: path.read_bytes() for path in sorted((self.path / "data" / "02_sturdy").glob("*"))}

    def waiting(self) -> bool:
        """Whether the node has begun that waits for the file ``go-on``."""
        return any(self.path.glob("waiting.*"))

    @staticmethod
    def until(what: Callable[[], object], otherwise: str, seconds: float = 60) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.05)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project as it is delivered."""
    folder = tmp_path_factory.mktemp("example") / "wine"
    subprocess.run([sys.executable, EXAMPLE / "create.py", folder], check=True, env=clean_environment())
    return folder


@pytest.fixture(scope="session")
def template(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project, and in it the pipelines that only the tests need."""
    project = WineProject(shutil.copytree(example, tmp_path_factory.mktemp("template") / "wine"))
    for name in PIPELINES:
        project.add_pipeline(name)
    return project.path


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], WineProject]:
    """Makes a copy of a project that nobody else has."""
    return lambda source: WineProject(shutil.copytree(source, tmp_path_factory.mktemp("project") / "wine"))


@pytest.fixture
def project(template: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    """A copy of the project for one test."""
    return fresh(template)


@pytest.fixture
def sturdy(template: Path, tmp_path_factory: pytest.TempPathFactory) -> SturdyProject:
    """A copy of the project that has the pipeline ``sturdy``, for one test."""
    return make_sturdy(template, tmp_path_factory)


def make_sturdy(template: Path, folders: pytest.TempPathFactory) -> SturdyProject:
    """A new copy of the project that has the pipeline ``sturdy``."""
    project = SturdyProject(shutil.copytree(template, folders.mktemp("sturdy") / "wine"))
    source, package = HERE / "pipelines" / "sturdy", project.path / "src" / "wine" / "pipelines" / "sturdy"
    package.mkdir()
    shutil.copy(source / "__init__.py", package)
    shutil.copy(source / "catalog.yml", project.path / "conf" / "base" / "catalog_sturdy.yml")
    return project
