"""Sixteen processes at once: versions get consecutive numbers, and one of sixteen moves of an alias wins."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from ratoon.manager import make_manager
from ratoon.registry.promotion import set_alias
from ratoon.stores.sql.database import open_database
from ratoon.testing.values import model_of, version_of
from ratoon.tracking.client import Client

from ..server.conftest import serve  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

PROCESSES = 16
PLUGINS = (
    "ratoon.stores.sql.plugin",
    "ratoon.stores.rest.plugin",
    "ratoon.artifacts.plugin",
    "ratoon.registry.gates.metrics",
)

# Forked before anything is opened: each process has its own connections, and none imports what all of them need.
BEGIN = f"""
import json, multiprocessing, sys
import alembic.command, httpx, sqlalchemy
from ratoon.errors import RatoonError
from ratoon.manager import make_manager
from ratoon.testing.values import move_of, version_of
from ratoon.tracking.client import Client

uri, source = sys.argv[1:]
manager = make_manager(builtins={PLUGINS!r}, installed=False)
context = multiprocessing.get_context("fork")
barrier = context.Barrier({PROCESSES})

def begin(number):
    client = Client(tracking_uri=uri, user=f"user-{{number}}", manager=manager)
    client.registry.get_registered_model("wine")
    barrier.wait(120)
    return client
"""

REGISTER = """
def work(number):
    client = begin(number)
    return client.registry.create_version(version_of("wine", source=source, description=str(number))).version
"""

MOVE = """
def work(number):
    client = begin(number)
    try:
        client.registry.move_alias(move_of("wine", 1, 2 + number, moved_by=client.settings.user))
    except RatoonError as error:
        return [type(error).__name__, str(error)]
    return ["moved", 2 + number]
"""

END = f"""
with context.Pool({PROCESSES}) as pool:
    print(json.dumps(pool.map(work, range({PROCESSES}), chunksize=1)))
"""


class Place(NamedTuple):
    """The URI of a registry, and that of a model that versions can be made of."""

    uri: str
    source: str


Run = Callable[[str, Place], list[Any]]
RunPython = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["sqlite", "postgresql", "server"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Where processes find a registry with the model wine."""
    database = request.getfixturevalue("postgresql_uri" if request.param == "postgresql" else "uri")
    client = Client(tracking_uri=database, manager=make_manager(builtins=PLUGINS, installed=False))
    client.registry.create_registered_model("wine")
    with client.start_run() as run:
        # A server looks whether the source is there.
        source = client.tracking.create_model(model_of(run.info))
    address = request.getfixturevalue("serve")(client).url if request.param == "server" else database
    yield Place(address, f"models:/{source.model_id}")
    client.close()
    open_database(database).close()


@pytest.fixture
def in_processes(run_python: RunPython) -> Run:
    """Let sixteen processes do a piece of work that they begin at the same moment; the answer of each."""

    def run(work: str, place: Place) -> list[Any]:
        done = run_python(BEGIN + work + END, *place)
        assert done.stderr == ""
        answers: list[Any] = json.loads(done.stdout)
        return answers

    return run


def test_sixteen_processes_register_sixteen_consecutive_versions(place: Place, in_processes: Run) -> None:
    answers = in_processes(REGISTER, place)
    assert sorted(answers) == list(range(1, PROCESSES + 1))
    client = Client(tracking_uri=place.uri, manager=make_manager(builtins=PLUGINS, installed=False))
    for number, version in enumerate(answers):
        assert client.registry.get_version("wine", version).description == str(number)
    assert client.registry.get_registered_model("wine").latest_version == PROCESSES


def test_of_sixteen_processes_one_moves_the_alias_and_the_others_learn_who_holds_it(
    place: Place, in_processes: Run
) -> None:
    client = Client(tracking_uri=place.uri, manager=make_manager(builtins=PLUGINS, installed=False))
    for _ in range(PROCESSES + 1):
        client.registry.create_version(version_of("wine", source=place.source))
    set_alias(client, "wine", "champion", 1)
    answers = in_processes(MOVE, place)
    (winner,) = (wanted for kind, wanted in answers if kind == "moved")
    refused = [said for kind, said in answers if kind == "Conflict"]
    assert len(refused) == PROCESSES - 1
    assert all(f"version {winner} holds it, not version 1" in said for said in refused), refused
    assert client.registry.get_registered_model("wine").aliases == {"champion": winner}
    history = client.registry.alias_history("wine", "champion")
    assert [move.to_version for move in history] == [1, winner]
    assert history[1].moved_by == f"user-{winner - 2}"
