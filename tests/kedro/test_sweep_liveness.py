"""Whether the process of a sweep is still there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ratoon.clock import now_ms
from ratoon_kedro.sweeping.liveness import DEAD_AFTER, HEARTBEAT, PROCESS, is_alive, this_process


def test_this_process_is_alive_and_another_one_of_its_number_is_not_it() -> None:
    assert is_alive({PROCESS: this_process()})
    host, pid, _ = this_process().split(":")
    assert not is_alive({PROCESS: f"{host}:{pid}:1"})


def test_a_process_that_has_ended_is_not_alive_although_nobody_has_asked_for_its_exit_code() -> None:
    code = "from ratoon_kedro.sweeping.liveness import this_process; print(this_process(), flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.read().strip()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive({PROCESS: told})
    assert not is_alive({PROCESS: told})


@pytest.mark.parametrize(
    ("age", "alive"), [(0, True), (DEAD_AFTER - 5000, True), (DEAD_AFTER + 1, False), (None, False)]
)
def test_of_another_machine_a_sign_of_life_is_expected(age: int | None, alive: bool) -> None:
    tags = {PROCESS: "another-machine:1:2"} | ({} if age is None else {HEARTBEAT: str(now_ms() - age)})
    assert is_alive(tags) is alive
