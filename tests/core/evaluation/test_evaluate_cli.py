"""``ratoon evaluate``: files in, a table or JSON out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from ratoon.cli.evaluate import evaluate
from ratoon.tracking.client import Client

Cli = Callable[..., Result]


@pytest.fixture
def cli(registered: Client, test_rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Call the command in a folder with the rows in two files."""
    monkeypatch.chdir(tmp_path)
    test_rows.to_csv("rows.csv", index=False)
    test_rows.reset_index(drop=True).to_parquet("rows.parquet")
    settings = {"tracking_uri": registered.settings.tracking_uri}

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(evaluate, [*arguments, "--no-figures"], obj=settings)

    return run


def test_a_table_for_people(cli: Cli) -> None:
    shown = cli("models:/tissue/2", "rows.csv", "--targets", "benign", "--segment", "size", "--minimum-rows", "60")
    assert shown.exit_code == 0, shown.output
    lines = [line.split() for line in shown.output.splitlines() if line.strip()]
    assert lines[0][:5] == ["models:/tissue/2", "on", "269", "rows", "of"] and lines[0][-1] == "binary"
    assert ["269", "accuracy"] in [line[:2] for line in lines]
    assert ["size=large", "54", "(few)", "accuracy"] in [line[:4] for line in lines]
    assert lines[-1][:3] == ["kept", "with", "run"]


def test_candidate_and_champion_side_by_side(cli: Cli) -> None:
    shown = cli("models:/tissue/2", "rows.csv", "--targets", "benign", "--champion", "models:/tissue@champion")
    assert "models:/tissue/1" in shown.output and "difference" in shown.output


def test_json_for_programs_and_the_same_data_in_another_format(cli: Cli, registered: Client, tmp_path: Path) -> None:
    found = [
        json.loads(cli("models:/tissue/2", f"rows.{form}", "--targets", "benign", "--json").stdout)
        for form in ("csv", "parquet")
    ]
    assert found[0]["digest"] == found[1]["digest"] and found[0]["metrics"] == found[1]["metrics"]
    (given,) = registered.tracking.get_run(found[0]["run_id"]).inputs
    assert given.dataset.name == "rows.csv" and str(tmp_path / "rows.csv") in given.dataset.source


def test_classes_are_named_as_they_are_written(cli: Cli) -> None:
    shown = cli("models:/tissue/2", "rows.csv", "--targets", "benign", "--pos-label", "0", "--json")
    assert json.loads(shown.stdout)["positive"] == "0"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.csv", None, "does not exist; give a CSV or Parquet file"),
        ("rows.xlsx", b"PK", "is of an unknown kind; give one that ends in .csv, .csv.gz, .tsv, .parquet, .pq"),
        ("empty.csv", b"", "cannot be read as a table"),
        ("torn.parquet", b"PAR1", "cannot be read as a table"),
        ("binary.csv", b"\xff\xfe\x00\x81", "cannot be read as a table"),
    ],
)
def test_files_that_are_no_tables_are_refused(cli: Cli, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    shown = cli("models:/tissue/2", name, "--targets", "benign")
    assert shown.exception is not None and message in str(shown.exception)
