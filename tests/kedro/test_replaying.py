"""What a run says about how to repeat it."""

from __future__ import annotations

import pytest

from ratoon.entities import Run, RunStatus
from ratoon.errors import InvalidInput, NotFound
from ratoon_kedro.replaying.recorded import differences, parse_params, recorded, with_params


def run_with(**tags: str) -> Run:
    named = {key.replace("_", ".", 1): value for key, value in tags.items()}
    return Run(
        run_id="r1",
        run_name="x",
        experiment_id="0",
        user_id="anna",
        status=RunStatus.FINISHED,
        start_time=0,
        artifact_uri="",
        tags=named,
    )


def test_the_command_is_read() -> None:
    run = run_with(kedro_command="kedro run --pipelines a --params 'b.c=log loss'")
    found = recorded(run, {})
    assert found.words == ("kedro", "run", "--pipelines", "a", "--params", "b.c=log loss")
    assert (found.commit, found.dirty) == (None, False)


def test_a_run_of_something_else_is_refused() -> None:
    with pytest.raises(NotFound, match="has no 'kedro run' recorded"):
        recorded(run_with(ratoon_command="train.py"), {})


def test_what_was_redacted_must_be_given() -> None:
    run = run_with(
        kedro_command="kedro run --params 'db.password=[redacted],x=1'",
        kedro_command_incomplete="parameter 'db.password'; parameter 'key'",
    )
    with pytest.raises(InvalidInput, match="--params 'db.password=…,key=…'"):
        recorded(run, {})
    assert recorded(run, {"db.password": "p", "key": "k"}).words[-1] == "db.password=p,x=1,key=k"


def test_what_cannot_be_given_is_refused() -> None:
    run = run_with(kedro_command="kedro run", kedro_command_incomplete="node name 'a,b'")
    with pytest.raises(InvalidInput, match="does not tell node name 'a,b'"):
        recorded(run, {})


def test_parameters_are_replaced_or_added() -> None:
    assert with_params(["kedro", "run"], {}) == ["kedro", "run"]
    assert with_params(["kedro", "run"], {"a": "1"}) == ["kedro", "run", "--params", "a=1"]
    assert with_params(["kedro", "run", "--params", "a=1,b=2", "--async"], {"a": "3"})[3] == "a=3,b=2"


def test_params_are_assignments() -> None:
    assert parse_params(["a=1, b.c=x=y", "d="]) == {"a": "1", "b.c": "x=y", "d": ""}
    with pytest.raises(InvalidInput, match="parameter 'a' is no assignment"):
        parse_params(["a"])


def test_metrics_differ_beyond_the_tolerance() -> None:
    nan = float("nan")
    before = {"a": 1.0, "n": nan, "kedro/seconds/x": 1.0, "system/cpu": 2.0, "gone": 3.0}
    after = {"a": 1.001, "n": nan, "kedro/seconds/x": 9.0, "new": 1.0}
    assert differences(before, after) == [
        "a: 1.0 before, 1.001 now",
        "gone: 3.0 before, missing now",
        "new: missing before, 1.0 now",
    ]
    assert [line[0] for line in differences(before, after, 0.01)] == ["g", "n"]
