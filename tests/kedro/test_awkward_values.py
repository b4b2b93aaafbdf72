"""Values that are hard to look at: the run is what it would be without ratoon, and there is one warning for each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ratoon.entities import Run, RunStatus

if TYPE_CHECKING:
    from conftest import WineProject

pytestmark = pytest.mark.slow

REPORT = "data/08_reporting/looked.json"


@pytest.fixture(scope="module")
def awkward(template: Path, fresh: Callable[[Path], WineProject]) -> WineProject:
    return fresh(template)


@pytest.fixture(scope="module")
def without_ratoon(awkward: WineProject) -> bytes:
    done = awkward.kedro("run", "--pipelines", "awkward", env={"RATOON_KEDRO": "0"})
    assert done.returncode == 0, done.stdout + done.stderr
    return (awkward.path / REPORT).read_bytes()


@pytest.fixture(scope="module", params=["SequentialRunner", "ThreadRunner"])
def tracked(awkward: WineProject, without_ratoon: bytes, request: pytest.FixtureRequest) -> tuple[Run, list[str]]:
    (awkward.path / REPORT).unlink()
    done = awkward.kedro("run", "--pipelines", "awkward", "--runner", request.param)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (awkward.path / REPORT).read_bytes() == without_ratoon
    return awkward.runs()[0], awkward.complaints(done.stdout + done.stderr)


def test_the_run_ends_well_with_one_warning_for_each_value(tracked: tuple[Run, list[str]]) -> None:
    run, complaints = tracked
    assert run.status is RunStatus.FINISHED
    names = ("broken", "hostile", "locked")
    about = [name for each in complaints for name in names if f"odd_{name}'" in each]
    assert sorted(about) == list(names), complaints
    assert len(complaints) == len(about)


def test_huge_tables_are_described_by_a_part_of_them(tracked: tuple[Run, list[str]]) -> None:
    found = {each.dataset.name: each.dataset for each in tracked[0].inputs}
    long, wide = (json.loads(found[name].profile or "") for name in ("odd_long", "odd_wide"))
    assert long["num_rows"] == 5_000_000
    assert long["sample"] == {"rows": 10_000, "every": 500}
    assert wide["num_columns"] == 20_000
    assert wide["note"] == "the first 100 of 20000 columns"
    schema = json.loads(found["odd_wide"].schema or "")
    assert len(schema["mlflow_colspec"]) == 2000
    assert schema["note"] == "the first 2000 of 20000 columns"


def test_a_dataset_saved_piece_by_piece_is_recorded_as_it_is_in_the_end(
    awkward: WineProject, tracked: tuple[Run, list[str]]
) -> None:
    run = tracked[0]
    roles = {each.tags["mlflow.data.context"]: each.dataset for each in run.inputs if each.dataset.name == "pieces"}
    assert roles["output"].digest == roles["input"].digest
    assert json.loads(roles["input"].profile or "") == {"partitions": 3}
    for part in range(3):
        assert awkward.read_artifact(run, f"kedro/datasets/pieces/part{part}.csv").startswith(b"a\n")
