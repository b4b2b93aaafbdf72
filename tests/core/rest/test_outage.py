"""A training run and its server that goes away: nothing stops, nothing is lost, nothing comes twice."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ratoon.entities import Dataset, Query, Run, RunStatus
from ratoon.errors import StoreUnavailable
from ratoon.manager import make_manager
from ratoon.remote import connection as connection_module
from ratoon.remote.connection import Connection
from ratoon.stores.rest.tracking import RestTrackingStore
from ratoon.tracking import outbox as outbox_module
from ratoon.tracking.client import Client
from ratoon.tracking.outbox import Outbox

from .conftest import Server

PLUGINS = ("ratoon.stores.rest.plugin", "ratoon.artifacts.plugin", "ratoon.models.flavors.python_function")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server that is away is given up sooner, and tried again sooner, than in earnest."""
    monkeypatch.setattr(connection_module, "BUDGET_SECONDS", 0.3)
    monkeypatch.setattr(connection_module, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(outbox_module, "REST_SECONDS", (0.2, 0.5))
    monkeypatch.setenv("RATOON_HTTP_REQUEST_TIMEOUT", "2")
    (tmp_path / "work" / ".ratoon").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def client(server: Server) -> Client:
    """A client of the server, which has spoken to it."""
    client = client_of(server)
    client.start_run(experiment="before").end()
    return client


def client_of(server: Server) -> Client:
    return Client(manager=make_manager(builtins=PLUGINS, installed=False), tracking_uri=server.uri, user="ada")


def store_of(server: Server) -> RestTrackingStore:
    """What the server has, read with nothing in between."""
    return RestTrackingStore(Connection(server.uri, environ={}))


def outbox_of(client: Client) -> Outbox:
    found = client.outbox
    assert found is not None
    return found


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def sent(client: Client) -> bool:
    return not outbox_of(client).spool.pending


def steps(server: Server, run_id: str, key: str = "loss") -> list[int]:
    return list(store_of(server).metric_history(run_id, key).steps)


def test_a_run_goes_on_while_its_server_is_away_and_everything_arrives(server: Server, client: Client) -> None:
    with client.start_run(experiment="wine") as run:
        for step in range(300):
            if step == 100:
                run.flush()
                server.kill()
            if step == 200:
                server.start()
            run.log_metric("loss", 1 / (step + 1), step)
            run.set_tag("last", step)
            if step % 50 == 0:
                run.flush()
        run.log_param("depth", 3)
    wait_until(lambda: sent(client))
    found = store_of(server).get_run(run.run_id)
    assert (found.status, found.params["depth"], found.tags["last"]) == (RunStatus.FINISHED, "3", "299")
    assert found.end_time is not None
    assert steps(server, run.run_id) == list(range(300))


def test_a_run_that_ends_in_an_outage_says_what_to_do_and_the_next_process_sends_it(
    server: Server, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    run = client.start_run(experiment="wine")
    run.log_metric("loss", 1.0, 0)
    run.flush()
    server.kill()
    run.log_metric("loss", 0.5, 1)
    run.log_metric("loss", float("nan"), 2)
    run.log_metric("loss", float("-inf"), 3)
    dataset = Dataset(name="wine", digest="0a", source_type="local", source="wine.csv")
    with caplog.at_level(logging.WARNING):
        run.log_input(dataset, "training")
        run.log_text("the ROC", "plots/roc.txt")
        run.end()
    assert "ratoon sync" in caplog.text and server.uri in caplog.text
    assert run.info.status == RunStatus.FINISHED
    server.start()
    script = f"""
        from ratoon.tracking.client import Client
        import time
        client = Client(tracking_uri={server.uri!r})
        client.tracking
        while client.outbox.spool.pending:
            time.sleep(0.05)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, timeout=60)
    found = store_of(server).get_run(run.run_id)
    assert found.status == RunStatus.FINISHED
    assert [each.dataset for each in found.inputs] == [dataset]
    values = list(store_of(server).metric_history(run.run_id, "loss").values)
    assert list(map(str, values)) == ["1.0", "0.5", "nan", "-inf"]
    key = f"{found.experiment_id}/{run.run_id}/artifacts/plots/roc.txt"
    assert b"".join(client.artifacts.read(key)) == b"the ROC"
    assert sent(client) and list(outbox_of(client).spool.files.iterdir()) == []


def test_a_run_that_starts_in_an_outage_arrives_under_its_own_id(server: Server, client: Client) -> None:
    server.kill()
    with client.start_run(experiment="made in the dark", run_name="owl", tags={"a": "b"}) as run:
        run.log_metric("loss", 0.5, 1)
        run.log_param("depth", 3)
        run.log_text("hello", "notes.txt")
        again = client.attach(run.run_id)
        again.log_metric("loss", 0.4, 2)
    assert not sent(client)
    server.start()
    wait_until(lambda: sent(client))
    store = store_of(server)
    found = store.get_run(run.run_id)
    home = store.find_experiment("made in the dark")
    assert home is not None and found.experiment_id == home.experiment_id
    assert found.artifact_uri == f"{home.artifact_location}/{run.run_id}/artifacts"
    assert (found.run_name, found.status, found.tags["a"]) == ("owl", RunStatus.FINISHED, "b")
    assert steps(server, run.run_id) == [1, 2]
    key = f"{home.experiment_id}/{run.run_id}/artifacts/notes.txt"
    assert b"".join(client.artifacts.read(key)) == b"hello"


@pytest.mark.parametrize("experiment", [None, "made in the dark"])
def test_another_process_may_write_files_of_a_run_that_started_in_an_outage(
    server: Server, client: Client, experiment: str | None
) -> None:
    server.kill()
    with client.start_run(experiment=experiment) as run:
        other = client_of(server).attach(run.info)
        other.log_text("hello", "notes.txt")
        other.log_metric("loss", 0.4)
        other.flush()
    server.start()
    wait_until(lambda: sent(client))
    found = store_of(server).get_run(run.run_id)
    key = f"{found.experiment_id}/{run.run_id}/artifacts/notes.txt"
    assert b"".join(client.artifacts.read(key)) == b"hello"
    assert found.metrics["loss"].value == 0.4


def test_a_run_under_a_given_id_starts_in_an_outage_whether_the_server_has_it_or_not(
    server: Server, client: Client
) -> None:
    old, new = "a" * 32, "b" * 32
    client.start_run(experiment="wine", run_id=old, run_name="first").end()
    server.kill()
    other = client_of(server)  # a process that has not seen the run
    for run_id in (old, new):
        with other.start_run(experiment="wine", run_id=run_id, run_name="second") as run:
            run.log_metric("loss", 0.5, 1)
    server.start()
    wait_until(lambda: sent(other))
    names = {run_id: store_of(server).get_run(run_id).run_name for run_id in (old, new)}
    assert names == {old: "first", new: "second"}
    assert steps(server, old) == steps(server, new) == [1]


def test_a_model_that_is_logged_in_an_outage_is_kept_whole(server: Server, client: Client, tmp_path: Path) -> None:
    from ratoon.tracking.models import load_model

    with client.start_run(experiment="wine") as run:
        run.flush()
        server.kill()
        made = run.log_model(_double, flavor="python_function")
    server.start()
    wait_until(lambda: sent(client))
    assert [model.model_id for model in store_of(server).run_models(run.run_id)] == [made.model_id]
    assert list(load_model(f"models:/{made.model_id}", client=client, trust="code").predict([4.0])) == [8.0]


def _double(values: list[float]) -> list[float]:
    return [2 * value for value in values]


def test_a_server_that_answers_nothing_is_away(server: Server, client: Client) -> None:
    with client.start_run(experiment="wine") as run:
        run.log_metric("loss", 1.0, 0)
        run.flush()
        server.freeze()
        run.log_metric("loss", 0.5, 1)
        begin = time.monotonic()
        run.flush()
        run.log_metric("loss", 0.4, 2)
        run.flush()
        assert time.monotonic() - begin < 10
        server.thaw()
        wait_until(lambda: sent(client))
    assert steps(server, run.run_id) == [0, 1, 2]


def test_against_a_server_that_never_answered_a_start_needs_the_server(make_server: Callable[[], Server]) -> None:
    client = client_of(make_server())
    with pytest.raises(StoreUnavailable, match="not available.*gives runs ids of its own"):
        client.start_run(experiment="wine")
    assert sent(client)


def test_what_the_server_refuses_is_put_aside_and_holds_nothing_up(
    server: Server, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    run = client.start_run(experiment="wine")
    run.log_param("depth", 3)
    run.flush()
    other = client_of(server).attach(run.run_id)
    other._params = {}  # a process that does not know what was logged
    server.kill()
    other.log_param("depth", 4)
    other.log_param("width", 5)
    other.log_metric("loss", 0.5, 1)
    other.flush()
    server.start()
    wait_until(lambda: sent(client))
    found = store_of(server).get_run(run.run_id)
    assert found.params == {"depth": "3", "width": "5"}
    assert steps(server, run.run_id) == [1]
    refused = outbox_of(client).spool.refused
    assert refused.stat().st_size > 0 and refused.stat().st_mode & 0o777 == 0o600
    assert "was refused" in caplog.text and "depth" in caplog.text


KILLED = """
    import sys
    from ratoon.tracking.client import Client
    run = Client(tracking_uri={uri!r}).attach({run_id!r})
    for step in range({first}, 10**6):
        run.log_metric("loss", 1.0, step)
        if step % 10 == 9:
            run.flush()
            print(step, flush=True)
"""


@pytest.fixture
def writers() -> Iterator[list[subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_kill_9_of_client_and_server_loses_nothing_that_was_flushed(
    server: Server, client: Client, writers: list[subprocess.Popen[str]]
) -> None:
    runs = [client.start_run(experiment="wine") for _ in range(3)]
    for run in runs:
        script = textwrap.dedent(KILLED.format(uri=server.uri, run_id=run.run_id, first=0))
        command = [sys.executable, "-W", "ignore", "-c", script]
        writers.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
    for writer in writers:
        assert writer.stdout is not None and writer.stdout.readline()
    server.kill()
    time.sleep(5)
    for writer in writers:
        writer.send_signal(signal.SIGKILL)
    flushed = [int([line for line in writer.stdout or () if line.endswith("\n")][-1]) for writer in writers]
    server.start()
    assert not sent(client)
    done = subprocess.run(
        [sys.executable, "-m", "ratoon", "--tracking-uri", server.uri, "sync"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wait_until(lambda: sent(client))
    for run, last in zip(runs, flushed, strict=True):
        found = steps(server, run.run_id)
        assert found == list(range(len(found))), "a point is missing, or there twice"
        assert last < len(found) <= last + 11


def test_sync_says_what_it_did(server: Server, client: Client) -> None:
    def sync(uri: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ratoon", "--tracking-uri", uri, "sync"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert sync(server.uri).stdout == f"nothing waits for {server.uri}\n"
    assert "names no server" in sync("sqlite:///here.db").stderr
    run = client.start_run(experiment="wine")
    server.kill()
    outbox_of(client)._send_later = lambda rest=0.0: None  # type: ignore[method-assign]  # this process must not be faster
    run.log_metric("loss", 0.5, 1)
    run.flush()
    away = sync(server.uri)
    assert (away.returncode, away.stdout) == (1, "")
    assert "is not available" in away.stderr and "Traceback" not in away.stderr
    server.start()
    done = sync(server.uri)
    assert "sent 1 records" in done.stdout or "nothing waits" in done.stdout or "another process" in done.stdout
    wait_until(lambda: sent(client))
    assert steps(server, run.run_id) == [1]


def test_reading_during_an_outage_says_that_the_server_is_away(server: Server, client: Client) -> None:
    server.kill()
    with pytest.raises(StoreUnavailable, match=f"{server.uri}.*check that it runs"):
        client.tracking.search_runs([], Query())


def test_a_search_finds_what_was_sent_late(server: Server, client: Client) -> None:
    server.kill()
    client.start_run(experiment="wine", run_name="late").end()
    server.start()
    wait_until(lambda: sent(client))
    found: tuple[Run, ...] = store_of(server).search_runs([], Query(filter="attributes.run_name = 'late'")).items
    assert [run.status for run in found] == [RunStatus.FINISHED]
