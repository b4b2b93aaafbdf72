"""The commands about promotion: what they print for people and programs, and how they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from ratoon.registry.segments import segment_key
from ratoon.tracking.client import Client

from .conftest import FRAME

Cli = Callable[..., subprocess.CompletedProcess[str]]

POLICY = """
models:
  wine:
    champion:
      metrics: [{metric: auc, minimum: 0.5}]
      segments: [{metric: auc, minimum: 0.5}]
      tags: {required: [owner]}
      approval:
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, fitted: LogisticRegression) -> Path:
    """A project with a policy, in which wine has two versions, the first of them weak in the south."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "promotion.yml").write_text(POLICY)
    (folder / "lax.yml").write_text("models: {'*': {'*': {signature: }}}")
    client = Client(tracking_uri=f"sqlite:///{folder}/.ratoon/ratoon.db")
    for south in (0.4, 0.8):
        with client.start_run() as run:
            run.log_metrics({"auc": 0.9, segment_key("region", "south", "auc"): south})
            run.log_model(fitted, input_example=FRAME, register_as="wine")
    client.close()
    return folder


@pytest.fixture
def cli(place: Path) -> Cli:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("RATOON_")}

    def run(*arguments: str, user: str = "ada", code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ratoon", *arguments]
        done = subprocess.run(
            command, cwd=place, env=environ | {"RATOON_USER": user}, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_the_way_of_a_version_into_service_and_back(cli: Cli, place: Path) -> None:
    dry = cli("promote", "wine", "1", "--dry-run", code=1)
    refusals = [line for line in dry.stdout.splitlines() if line.lstrip().startswith("NO")]
    assert len(refusals) == 3 and "region=south has 0.4, wanted is at least 0.5" in dry.stdout
    assert "a dry run: nothing was moved" in dry.stdout
    assert "ratoon models tag wine 1 KEY=VALUE" in cli("promote", "wine", "1", code=1).stderr
    cli("promote", "wine", "1", "--force", "--reason", "the first")

    assert "version 2 of model 'wine' has owner=ada" in cli("models", "tag", "wine", "2", "owner=ada").stdout
    said = "bob approves that version 2 of model 'wine' takes 'champion'"
    assert said in cli("approve", "wine", "2", "--reason", "fine", user="bob").stdout
    promoted = json.loads(cli("promote", "wine", "2", "--json").stdout)
    assert promoted["passed"] and promoted["move"]["to_version"] == 2

    refused = cli("rollback", "wine", "--json", code=1)
    assert [verdict["gate"] for verdict in json.loads(refused.stdout)["verdicts"]] == ["required tags"]
    assert "name another version with --to, or move it with --force" in refused.stderr
    assert "NO       required tags" in cli("rollback", "wine", code=1).stdout
    back = cli("rollback", "wine", "--policy", str(place / "lax.yml"), "--reason", "it drifts")
    assert "version 1 of model 'wine' is 'champion' again, instead of version 2" in back.stdout
    assert json.loads(cli("rollback", "wine", "--to", "2", "--force", "--json").stdout)["reason"] == "(forced)"

    moves = json.loads(cli("models", "history", "wine", "--json").stdout)
    assert [(move["kind"], move["from_version"], move["to_version"], move["reason"]) for move in moves] == [
        ("refused", None, 1, ""),
        ("promote", None, 1, "the first (forced)"),
        ("promote", 1, 2, ""),
        ("refused", 2, 1, ""),
        ("refused", 2, 1, ""),
        ("rollback", 2, 1, "it drifts"),
        ("rollback", 1, 2, "(forced)"),
    ]
    table = cli("models", "history", "wine", "--alias", "champion").stdout
    assert "5 agreed" in table and "required tags: no, tag 'owner' is missing" in table
    told = cli("models", "verdicts", "wine", "2").stdout
    assert "approved by bob (fine)" in told
    assert len(json.loads(cli("models", "verdicts", "wine", "1", "--json").stdout)) == 5
    assert "bob no longer approves" in cli("approve", "wine", "2", "--withdraw", user="bob").stdout


def test_models_and_versions_are_searched(cli: Cli) -> None:
    found = json.loads(cli("models", "search", "--filter", "name LIKE 'w%'", "--json").stdout)
    assert [model["name"] for model in found] == ["wine"]
    assert "no such models" in cli("models", "search", "--filter", "name = 'beer'").stdout
    query = ("--filter", "name = 'wine'", "--order-by", "version_number ASC")
    found = json.loads(cli("models", "versions", *query, "--json").stdout)
    assert [version["version"] for version in found] == [1, 2]
    assert "no such versions" in cli("models", "versions", "--filter", "tags.owner = 'eve'").stdout
    assert "wine" in cli("models", "versions", "--limit", "1").stdout
    assert "wine" in cli("models", "search").stdout


def test_a_tag_is_taken_away(cli: Cli) -> None:
    assert "has a=b=c" in cli("models", "tag", "wine", "1", "a=b=c").stdout
    assert json.loads(cli("models", "tag", "wine", "1", "--remove", "a", "--json").stdout)["tags"] == {}


def test_a_version_is_copied_once(cli: Cli, tmp_path: Path) -> None:
    command = ("models", "copy", "models:/wine/1", "--to", f"sqlite:///{tmp_path}/other.db")
    first = cli(*command, "--name", "cider", "--alias", "champion")
    assert "models:/wine/1 is version 1 of model 'cider' now at" in first.stdout
    assert "version 1 of model 'cider' is 'champion' there" in first.stdout
    assert "models:/wine/1 was copied before as version 1" in cli(*command, "--name", "cider").stdout
    assert json.loads(cli(*command, "--json").stdout)["made"] is True


REFUSALS = [
    (["promote", "wine", "1", "--policy", "nothing.yml"], 2, "policy file 'nothing.yml' cannot be read"),
    (["promote", "wine", "1", "--alias", "shadow"], 1, "name a metric with --metric, or gates in promotion.yml"),
    (["rollback", "wine", "--to", "99"], 1, "version 99 of model 'wine' does not exist"),
    (["rollback", "wine", "--alias", "shadow"], 1, "has no earlier holder"),
    (["approve", "wine", "99"], 1, "version 99 of model 'wine' does not exist"),
    (["approve", "wine", "1", "--withdraw"], 1, "has no approval of 'ada'"),
    (["models", "history", "beer"], 1, "model 'beer' is not registered"),
    (["models", "verdicts", "wine", "99"], 1, "version 99 of model 'wine' does not exist"),
    (["models", "tag", "wine", "1"], 2, "was given no tag"),
    (["models", "tag", "wine", "1", "owner"], 2, "tag 'owner' is not KEY=VALUE"),
    (["models", "search", "--filter", "colour = 'red'"], 2, "no attribute 'colour'"),
    (["models", "copy", "wine", "--to", "memory:"], 2, "names no version"),
    (["models", "copy", "models:/wine/1", "--to", "postgresql://h/db"], 2, "name it with --to-artifacts"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), REFUSALS, ids=[" ".join(each[0]) for each in REFUSALS])
def test_a_refusal_is_one_line_with_the_way_out(cli: Cli, arguments: list[str], code: int, said: str) -> None:
    done = cli(*arguments, code=code)
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
