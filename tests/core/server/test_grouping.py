"""Requests that come at the same time and share a commit: each gets its own answer, once it is durable."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest

from ratoon.server.grouping import LARGEST_GROUP, Group
from ratoon.server.routes import runs
from ratoon.tracking.client import Client

from .conftest import API, Api, Serve

CONNECTIONS = 16


class Recorder:
    """Answers every question with itself in capitals, and knows who came together."""

    def __init__(self) -> None:
        self.groups: list[Sequence[str]] = []
        self.gate = threading.Event()

    def __call__(self, group: Sequence[str]) -> list[str | Exception]:
        self.groups.append(group)
        if not self.gate.wait(30):
            raise TimeoutError
        if "broken" in group:
            raise ZeroDivisionError
        return [KeyError(each) if each == "wrong" else each.upper() for each in group]


def outcomes(recorder: Recorder, *questions: str) -> list[Any]:
    """Ask the first question, and the others while it is being answered."""

    async def ask() -> list[Any]:
        group: Group[str, str] = Group(recorder)
        first = asyncio.create_task(group.ask(questions[0]))
        while not recorder.groups:
            await asyncio.sleep(0.001)
        rest = [asyncio.create_task(group.ask(each)) for each in questions[1:]]
        await asyncio.sleep(0)
        assert len(group) == len(rest)
        for task, question in zip(rest, questions[1:], strict=True):
            if question == "gone":
                task.cancel()
        recorder.gate.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)

    return asyncio.run(ask())


def test_those_who_come_meanwhile_are_the_next_group() -> None:
    recorder = Recorder()
    assert outcomes(recorder, "a", "b", "c", "d") == ["A", "B", "C", "D"]
    assert recorder.groups == [["a"], ["b", "c", "d"]]


def test_a_group_is_not_endless() -> None:
    recorder = Recorder()
    names = [str(number) for number in range(LARGEST_GROUP + 3)]
    assert outcomes(recorder, "a", *names) == ["A", *names]
    assert [len(group) for group in recorder.groups] == [1, LARGEST_GROUP, 3]


def test_an_error_reaches_only_who_asked() -> None:
    found = outcomes(Recorder(), "a", "b", "wrong", "d")
    assert [found[0], found[1], found[3]] == ["A", "B", "D"]
    assert isinstance(found[2], KeyError)


def test_who_went_away_is_not_answered() -> None:
    recorder = Recorder()
    found = outcomes(recorder, "a", "gone", "c")
    assert [found[0], found[2]] == ["A", "C"]
    assert isinstance(found[1], asyncio.CancelledError)
    assert recorder.groups == [["a"], ["c"]]


def test_a_group_that_breaks_leaves_the_next_one() -> None:
    recorder = Recorder()

    async def ask() -> None:
        group: Group[str, str] = Group(recorder)
        recorder.gate.set()
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await group.ask("broken")
            assert await group.ask("a") == "A"

    asyncio.run(ask())


def at_once(api: Api, requests: Sequence[tuple[str, dict[str, Any]]]) -> list[httpx.Response]:
    """Answers to requests that come over many connections."""
    with httpx.Client(base_url=api.url + API, timeout=60) as http, ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(lambda request: http.post(request[0], json=request[1]), requests))


def point(run_id: str, step: int, **more: Any) -> dict[str, Any]:
    return {"run_id": run_id, "key": "loss", "value": step, "timestamp": 1, "step": step, **more}


def test_many_requests_at_once_are_answered_one_by_one(api: Api, client: Client) -> None:
    ids = [api.new_run() for _ in range(8)]
    good = [("/runs/log-metric", point(run_id, step)) for step in range(25) for run_id in ids]
    bad = [
        ("/runs/log-metric", point("f" * 32, 1)),
        ("/runs/log-metric", point(ids[0], 1, value="many")),
        ("/runs/log-metric", {"run_id": ids[0]}),
        ("/runs/log-batch", {"run_id": ids[0], "metrics": [point("", 99)], "params": [{"key": "//", "value": ""}]}),
    ]
    mixed = [request for number, each in enumerate(good) for request in (each, bad[number % len(bad)])]
    found = at_once(api, mixed)
    assert Counter(answer.status_code for answer in found[::2]) == {200: len(good)}
    assert [answer.status_code for answer in found[1::2]] == [404, 400, 400, 400] * (len(good) // 4)
    assert len({answer.text for answer in found[1::2]}) == len(bad)
    for run_id in ids:
        assert list(client.tracking.metric_history(run_id, "loss").steps) == list(range(25))


def test_of_two_values_of_a_param_one_is_kept(api: Api) -> None:
    run_id = api.new_run()
    found = at_once(
        api,
        [
            ("/runs/log-parameter", {"run_id": run_id, "key": f"p{number // CONNECTIONS}", "value": str(number)})
            for number in range(CONNECTIONS * 5)
        ],
    )
    kept = {each["key"]: each["value"] for each in api.get("/runs/get", run_id=run_id)["run"]["data"]["params"]}
    for number, answer in enumerate(found):
        won = kept[f"p{number // CONNECTIONS}"] == str(number)
        assert answer.status_code == (200 if won else 400)
        assert won or "cannot become" in answer.json()["message"]


def test_what_is_answered_is_in_the_file(api: Api, client: Client) -> None:
    path = client.settings.tracking_uri.removeprefix("sqlite:///")
    run_id = api.new_run()

    def log(http: httpx.Client, number: int) -> bool:
        tag = {"run_id": run_id, "key": f"t{number}", "value": "x"}
        assert http.post("/runs/set-tag", json=tag).status_code == 200
        with closing(sqlite3.connect(path)) as file:
            return bool(file.execute("SELECT count(*) FROM tags WHERE key = ?", (f"t{number}",)).fetchone()[0])

    with httpx.Client(base_url=api.url + API, timeout=60) as http, ThreadPoolExecutor(CONNECTIONS) as pool:
        assert all(pool.map(lambda number: log(http, number), range(100)))


def test_two_servers_on_one_database_meet_no_error(serve: Serve, client: Client) -> None:
    first, second = serve(client), serve(client)
    run_id = first.new_run()
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(
            lambda given: at_once(given[0], [("/runs/log-metric", point(run_id, step)) for step in given[1]]),
            [(first, range(200)), (second, range(200, 400))],
        )
        assert {answer.status_code for answers in found for answer in answers} == {200}
    assert list(client.tracking.metric_history(run_id, "loss").steps) == list(range(400))


def test_a_store_that_shares_no_commits_is_asked_for_each(client: Client, serve: Serve) -> None:
    class Plain:
        """A store of a plugin, which knows the protocol and no more."""

        def __init__(self) -> None:
            self.threads: set[str] = set()

        def log_batch(self, batch: object) -> None:
            self.threads.add(threading.current_thread().name)

    store = Plain()
    client._stores["open_tracking_store"] = store
    answers = at_once(serve(client), [("/runs/log-metric", point("a", step)) for step in range(20)])
    assert {answer.status_code for answer in answers} == {200}
    assert not [name for name in store.threads if name.startswith("ratoon-group")]


def test_only_small_writes_to_runs_are_grouped() -> None:
    assert {call.path for call in runs.ROUTES if call.grouped} == {
        *("/runs/create", "/runs/update", "/runs/log-metric", "/runs/log-parameter", "/runs/log-batch"),
        *("/runs/set-tag", "/runs/delete-tag"),
    }
