from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from kedro.framework.cli.project import run as kedro_run
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

from ratoon_kedro.describing.command import pipeline_name, replayable_command, runner_name
from ratoon_kedro.recording.params import Redactor

if TYPE_CHECKING:
    from conftest import SturdyProject

DEFAULTS = {
    "env": None,
    "tags": (),
    "from_nodes": [],
    "load_versions": {},
    "runtime_params": {},
    "pipeline_names": [],
    "runner": str(SequentialRunner()),
    "only_missing_outputs": False,
}

TRICKY: dict[str, Any] = {
    "text": "plain",
    "spaces": "  two  words ",
    "comma": "a, b,c",
    "equals": "a=b",
    "colon": "a: b",
    "quotes": 'it\'s "quoted"',
    "backslash": "a\\b\\n",
    "lines": "one\ntwo",
    "number": "3",
    "date": "2026-01-01",
    "yes": "yes",
    "none": "null",
    "empty": "",
    "hash": "a #b",
    "brackets": "[1, 2]",
    "umlaut": "Grünkern 🌱",
    "shell": "$HOME `id` !x",
    "dollar": "a ${b} c",
    "nothing": None,
    "on": True,
    "integer": -3,
    "rate": 1e-05,
    "large": 1e300,
    "infinite": math.inf,
    "list": [1, 2.5, "x, y", None, True],
    "one": ["a"],
    "no_list": [],
    "no_dict": {},
    "deep": {"list": [[1, 2], [], [{"a": 1, "b": ["c", {"d": {}}]}]], "dict": {"a": {"b": {"c": "d, e"}}}},
    "dicts": [{"name": "a", "values": [1, 2]}, {"name": "b: c", "values": []}],
}

ASK = """
import json, sys
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
with KedroSession.create(runtime_params=json.loads(sys.argv[1])) as session:
    session.run(pipeline_names=["sturdy"])
"""


def command(**given: Any) -> tuple[str, list[str]]:
    return replayable_command(DEFAULTS | given, Redactor())


@pytest.mark.parametrize("program", ["run", "kedro run", "wine"])
def test_runner_options_are_told_whatever_the_program_is_called(program: str) -> None:
    words = ["--async", "--runner-params", "max_workers=2"]
    with kedro_run.make_context(program, words):
        text, missing = command()
    assert not missing
    assert parsed(text)["runner_params"] == {"is_async": True, "max_workers": 2}


def parsed(text: str) -> dict[str, Any]:
    words = shlex.split(text)
    assert words[:2] == ["kedro", "run"]
    return kedro_run.make_context("run", words[2:], resilient_parsing=False).params


def test_a_plain_run_is_a_plain_command() -> None:
    assert command() == ("kedro run", [])


def test_every_option_comes_back_through_kedros_own_parser() -> None:
    given = {
        "env": "prod",
        "pipeline_names": ["b", "a"],
        "tags": ("slow",),
        "node_names": ("n1", "f([a,b]) -> [c]"),
        "from_nodes": ["f"],
        "to_nodes": ["t"],
        "from_inputs": ["i", "ns.i"],
        "to_outputs": ["o"],
        "namespaces": ["ns"],
        "load_versions": {"table": "2026-01-01T00.00.00.000Z", "ns.table@spark": "2026-01-02T00.00.00.000Z"},
        "runtime_params": {"model": {"depth": 3, "loss": "log loss", "on": True}, "note": None},
        "runner": str(ThreadRunner()),
        "only_missing_outputs": True,
    }
    text, missing = command(**given)
    assert missing == []
    expected = {"env": "prod", "runner": "ThreadRunner", "pipelines": ["a", "b"], "params": given["runtime_params"]}
    expected |= {"tags": ["slow"], "node_names": ["f([a,b]) -> [c]", "n1"], "only_missing_outputs": True}
    same = ("from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces", "load_versions")
    expected |= {key: given[key] for key in same}
    found = parsed(text)
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("key", TRICKY)
def test_every_value_comes_back_through_kedros_own_parser(key: str) -> None:
    text, missing = command(runtime_params={"before": 1, "nested": {key: TRICKY[key]}, "after": "x"})
    assert missing == []
    found = parsed(text)["params"]
    assert found == {"before": 1, "nested": {key: TRICKY[key]}, "after": "x"}
    assert type(found["nested"][key]) is type(TRICKY[key])


@pytest.mark.parametrize(
    ("params", "missing"),
    [
        ({"a.b": 1}, ["parameter 'a.b'"]),
        ({"fine": 1, "a": {"b,c": 1}}, ["parameter 'a.b,c'"]),
        ({1: "x"}, ["parameter '1'"]),
        ({"pair": (1, 2)}, ["parameter 'pair'"]),
        ({"broken": "${"}, ["parameter 'broken'"]),
        ({"db": {"password": "hunter2"}}, ["parameter 'db.password'"]),
        ({"db": "postgresql://anna:hunter2@db/wines"}, ["parameter 'db'"]),
    ],
)
def test_what_the_command_line_cannot_say_is_named(params: dict[Any, Any], missing: list[str]) -> None:
    text, found = command(runtime_params=params)
    assert set(missing) <= set(found)
    assert "hunter2" not in text


def test_names_and_versions_that_cannot_be_said_are_named() -> None:
    given = {"node_names": ["a, b"], "to_outputs": ["x,y"], "load_versions": {"a:b": "1"}}
    assert command(**given)[1] == ["node name 'a, b'", "to output 'x,y'", "load version of 'a:b'"]


def test_secrets_do_not_get_into_the_command() -> None:
    text, missing = command(runtime_params={"db": {"password": "hunter2", "port": 3}})
    assert text == "kedro run --params 'db.password=[redacted],db.port=3'"
    assert missing == ["parameter 'db.password'"]


def test_other_configuration_is_named() -> None:
    assert replayable_command(DEFAULTS, Redactor(), "/etc/conf")[0] == "kedro run --conf-source /etc/conf"


@pytest.mark.parametrize(
    ("runner", "name"),
    [
        (ThreadRunner(), "ThreadRunner"),
        ("<my.runners.DaskRunner object at 0x7f>", "my.runners.DaskRunner"),
        ("None", "SequentialRunner"),
        (None, "SequentialRunner"),
    ],
)
def test_runners_are_named_without_their_address(runner: object, name: str) -> None:
    assert runner_name({"runner": None if runner is None else str(runner)}) == name


def test_the_parallel_runner_is_named_by_its_class() -> None:
    assert ParallelRunner.__module__.startswith("kedro.runner.")
    assert runner_name({"runner": f"<{ParallelRunner.__module__}.ParallelRunner object at 0x7f>"}) == "ParallelRunner"


def test_pipelines_are_named_by_old_and_new_kedro() -> None:
    assert pipeline_name({"pipeline_names": []}) == "__default__"
    assert pipeline_name({"pipeline_names": ["b", "a"]}) == "a+b"
    assert pipeline_name({"pipeline_name": "training"}) == "training"
    assert pipeline_name({"pipeline_name": None}) == "__default__"


@pytest.mark.slow
def test_the_stored_command_executed_does_the_same(sturdy: SturdyProject) -> None:
    # Kedro itself resolves what looks like one of its interpolations.
    tricky = {key: value for key, value in TRICKY.items() if key != "dollar"}
    given = json.dumps({"seed": 6, "tricky": tricky})
    asked = subprocess.run(
        [sys.executable, "-c", ASK, given], cwd=sturdy.path, env=sturdy.environment(), capture_output=True, text=True
    )
    assert asked.returncode == 0, asked.stderr
    first, left = sturdy.only_run(), sturdy.files()
    assert "kedro.command_incomplete" not in first.tags
    assert json.loads(left["received.json"])["tricky"] == tricky
    sturdy.clear()
    replay(sturdy, first.tags["kedro.command"])
    assert sturdy.files() == left
    second = sturdy.runs()[0]
    assert second.tags["kedro.command"] == first.tags["kedro.command"]
    assert second.params == first.params


@pytest.mark.slow
def test_the_options_of_the_command_line_are_stored_as_they_were_given(sturdy: SturdyProject) -> None:
    base = sturdy.path / "conf"
    base.rename(sturdy.path / "settings")
    options = [
        "--conf-source",
        "settings",
        "--runner",
        "ThreadRunner",
        "--runner-params",
        "max_workers=2,is_async=True",
    ]
    done = sturdy.kedro(*sturdy.RUN, "--to-nodes", "beside", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    stored = sturdy.only_run().tags["kedro.command"]
    found = parsed_in(sturdy, stored)
    assert found["runner_params"] == {"max_workers": 2, "is_async": True}
    assert (found["runner"], found["to_nodes"]) == ("ThreadRunner", ["beside"])
    assert "--conf-source settings" in stored, "a clone has it in another place"
    left = sturdy.files()
    sturdy.clear()
    replay(sturdy, stored)
    assert sturdy.files() == left


def parsed_in(sturdy: SturdyProject, text: str) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(sturdy.path)
        return parsed(text)


def replay(sturdy: SturdyProject, text: str) -> None:
    bin_folder = str(sys.executable).rpartition("/")[0]
    environment = sturdy.environment()
    environment |= {"PATH": f"{bin_folder}:{environment.get('PATH', '')}"}
    done = subprocess.run(["sh", "-c", text], cwd=sturdy.path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
