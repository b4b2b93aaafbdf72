"""How the space of a sweep is written, and what its plan says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kedro.framework.cli.project import run as kedro_run

from ratoon.errors import InvalidInput
from ratoon_kedro.recording.params import Redactor
from ratoon_kedro.sweeping.options import check_run_options
from ratoon_kedro.sweeping.plan import decode, encode, make_plan, merged, resumed, secret_params, sweep_command
from ratoon_kedro.sweeping.space import Choice, Range, nested, parse_space, read_space, read_value


def test_every_form_is_read() -> None:
    texts = [
        "a.depth=int(1, 20)",
        "b=int(0,100,step=10)",
        "c=intlog(1,1000)",
        "d=float(-0.5,1e3)",
        "e=log(1e-4,1e-1)",
        "f=choice(1, 2.5, true, null, red, 1e-3)",
    ]
    assert parse_space(texts) == {
        "a.depth": Range(low=1, high=20, integer=True),
        "b": Range(low=0, high=100, integer=True, step=10),
        "c": Range(low=1, high=1000, integer=True, log=True),
        "d": Range(low=-0.5, high=1000),
        "e": Range(low=1e-4, high=0.1, log=True),
        "f": Choice(options=(1, 2.5, True, None, "red", 0.001)),
    }


def test_a_file_may_list_what_to_choose_from() -> None:
    assert read_space({"kind": ["a", 1, None], "depth": "int(1,2)"}, "sweep.yml") == {
        "kind": Choice(options=("a", 1, None)),
        "depth": Range(low=1, high=2, integer=True),
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a", "names no parameter"),
        ("=int(1,2)", "names no parameter"),
        ("a=5", "it is no form"),
        ("a=integer(1,2)", "'integer' is unknown"),
        ("a=int(1)", "it takes two bounds"),
        ("a=int(1,x)", "its bounds are no numbers"),
        ("a=int(1,2.5)", "its bounds are no whole numbers"),
        ("a=float(2,1)", "its bounds are the wrong way round"),
        ("a=float(0,inf)", "its bounds are not finite"),
        ("a=log(0,1)", "its lower bound is not positive"),
        ("a=log(1,2,step=1)", "it has no step"),
        ("a=float(1,2,step=0)", "its step is not positive"),
        ("a=choice()", "it needs at least one option"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        parse_space([text])


def test_the_same_parameter_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="is given twice"):
        parse_space(["a=int(1,2)", "a=int(1,3)"])


@pytest.mark.parametrize("text", ["1", "1e-3", "true", "null", "red", "log loss", "'7'", "[1]", "a: b"])
def test_values_are_read_as_kedro_reads_them(text: str) -> None:
    parsed = kedro_run.make_context("run", ["--params", f"value={text}"]).params["params"]
    assert read_value(text) == parsed["value"]


def test_dotted_names_become_mappings() -> None:
    assert nested({"a.b": 1, "a.c.d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}


def test_options_win_over_the_file() -> None:
    content = {"metric": "m", "trials": 3, "space": {"a": [1, 2], "b": "int(1,2)"}, "command": "--pipelines x"}
    plan = make_plan(merged(content, {"trials": 5, "metric": None, "params": {}}, ("b=choice(7)",)))
    assert (plan.metric, plan.trials, plan.command) == ("m", 5, ("--pipelines", "x"))
    assert plan.space == {"a": Choice(options=(1, 2)), "b": Choice(options=(7,))}
    assert decode(encode(plan, Redactor())) == plan


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"space": {"a": Choice(options=(1,))}}, "sweep has no metric"),
        ({"metric": "m"}, "sweep has no space"),
        ({"metric": "m", "space": {"a": Choice(options=(1,))}, "sampler": "best"}, "'sampler' of the sweep is 'best'"),
        ({"metric": "m", "space": {"a": Choice(options=(1,))}, "trials": "many"}, "cannot be used"),
        ({"metric": "m", "space": {"a": Choice(options=(1,))}, "jobs": 0}, "at least 1"),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        make_plan(values)


def test_a_sweep_goes_on_with_more_trials_but_not_with_another_space() -> None:
    space = {"a": Choice(options=(1, 2))}
    plan = make_plan({"metric": "m", "space": space, "study": "s"})
    assert resumed(plan, {"trials": 50, "jobs": 2, "metric": "m", "space": dict(space)}).trials == 50
    with pytest.raises(InvalidInput, match="cannot go on with another space"):
        resumed(plan, {"space": {"a": Choice(options=(1,))}})


def test_secrets_are_not_written_and_must_be_given_again() -> None:
    given = {"db.password": "s3cret", "db.url": "sql://anna:s3cret@host/x", "mine.a": "s3cret", "depth": 3}
    plan = make_plan({"metric": "m", "space": {"a": Choice(options=(1, 2))}, "study": "s", "params": given})
    redactor = Redactor(["^mine"])
    assert "s3cret" not in f"{encode(plan, redactor)} {sweep_command(plan, redactor)}"
    assert "--params 'db.password=[redacted]," in sweep_command(plan, redactor)
    assert secret_params(plan, redactor) == ["db.password", "db.url", "mine.a"]

    kept = decode(encode(plan, redactor))
    with pytest.raises(InvalidInput, match="give --params 'db.url=…,mine.a=…'"):
        resumed(kept, {"params": {"db.password": "s3cret"}})
    again = {name: value for name, value in given.items() if name != "depth"}
    assert resumed(kept, {"params": again}) == plan
    with pytest.raises(InvalidInput, match="cannot go on with another params"):
        resumed(kept, {"params": {**again, "depth": 4}})


@pytest.mark.parametrize(
    ("content", "space"),
    [
        ({"params": {"opt": 1}}, ("opt.alpha=int(1,2)",)),
        ({}, ("n=int(1,2)", "n.x=int(1,2)")),
        ({"params": {"a": {"b": {"c": 1}}}}, ("a.b=int(1,2)",)),
    ],
)
def test_a_parameter_is_no_value_and_a_branch_at_once(content: dict[str, Any], space: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match="lies below it; leave one out"):
        make_plan(merged({"metric": "m", **content}, {}, space))


def test_parameters_of_the_file_may_be_nested() -> None:
    content = {"metric": "m", "params": {"opt": {"x": 1, "y": {"z": 2}}}, "command": ["--pipelines", "a b"]}
    plan = make_plan(merged(content, {}, ("opt.alpha=int(1,2)",)))
    assert plan.params == {"opt.x": 1, "opt.y.z": 2}
    assert plan.command == ("--pipelines", "a b")


@pytest.mark.parametrize(
    ("key", "value"), [("study", 5), ("params", 5), ("command", "--pipelines 'slow"), ("command", [1]), ("seed", "x")]
)
def test_a_value_of_the_file_that_does_not_fit_is_named(key: str, value: object) -> None:
    with pytest.raises(InvalidInput, match=f"setting '{key}' in sweep.yml cannot be used"):
        merged({key: value}, {}, ())


def test_options_of_a_trial_are_those_of_kedro_run_without_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "no_commands_here.py").touch()
    project: Any = SimpleNamespace(package_name="no_commands_here")
    assert check_run_options(project, ["--pipelines", "x"]) == ("--pipelines", "x")
    with pytest.raises(InvalidInput, match="are refused by 'kedro run'"):
        check_run_options(project, ["--pipelin", "x"])
    with pytest.raises(InvalidInput, match="give them as 'params' in sweep.yml"):
        check_run_options(project, ["--params=a=1"])
