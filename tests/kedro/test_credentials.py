"""What a server asks for, taken from Kedro's own file by key."""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from ratoon.errors import InvalidSetting
from ratoon.server.app import make_app
from ratoon.tracking.client import Client
from ratoon_kedro.options.credentials import Credentials, find_credentials, use_credentials

if TYPE_CHECKING:
    from conftest import WineProject

LIGHT = ("run", "--pipelines", "light")
BASIC = b"Basic " + base64.b64encode(b"anna:hunter2")


class GatedServer:
    """A real server behind a gate that lets nobody in without name and password."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = self.refused = 0
        uri = f"sqlite:///{folder}/ratoon.db"
        self._app = make_app(Client(tracking_uri=uri, registry_uri=uri, artifact_root=str(folder / "artifacts")))
        self._server = uvicorn.Server(
            uvicorn.Config(self._gate, port=0, interface="asgi3", lifespan="off", log_level="error", ws="none")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> GatedServer:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.uri = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    async def _gate(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        if dict(scope["headers"]).get(b"authorization") == BASIC:
            await self._app(scope, receive, send)
            return
        self.refused += 1
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GatedServer]:
    with GatedServer(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if "_TRACKING_" in name:
            monkeypatch.delenv(name)


def test_credentials_come_from_kedros_file_by_key_and_are_seen_nowhere(
    project: WineProject, server: GatedServer
) -> None:
    project.write("conf/local/credentials.yml", "cellar: {username: anna, password: hunter2}\n")
    project.write("conf/base/ratoon.yml", f"tracking_uri: {server.uri}\ncredentials: cellar\n")
    for runner in ("SequentialRunner", "ParallelRunner"):
        done = project.kedro(*LIGHT, "--runner", runner, env={"KEDRO_MP_CONTEXT": "spawn"})
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert project.complaints(output) == []
        assert "hunter2" not in output
    assert server.refused == 0
    assert server.asked > 10
    assert b"hunter2" not in b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())


def test_what_the_environment_says_goes_before_the_key(project: WineProject, server: GatedServer) -> None:
    project.write("conf/local/credentials.yml", "cellar: {token: another}\n")
    project.write("conf/base/ratoon.yml", f"tracking_uri: {server.uri}\ncredentials: cellar\n")
    env = {"RATOON_TRACKING_USERNAME": "anna", "RATOON_TRACKING_PASSWORD": "hunter2"}
    done = project.kedro(*LIGHT, env=env)
    assert done.returncode == 0
    assert project.complaints(done.stdout + done.stderr) == []
    assert server.refused == 0


@pytest.mark.parametrize(
    ("credentials", "message"),
    [
        ("other: {token: hunter2}", "credentials 'cellar' are not in credentials.yml (known keys are other);"),
        ("", "credentials 'cellar' are not in credentials.yml (credentials.yml is empty or missing);"),
        ("cellar: {tokn: hunter2}", "credentials 'cellar' are not for a server; give them a token, or username and"),
        ("cellar: hunter2", "credentials 'cellar' are not for a server; give them a token, or username and"),
        ("cellar: {username: hunter2}", "credentials 'cellar' are not for a server; give them a token, or username"),
    ],
)
def test_credentials_that_are_none_are_named_without_what_they_say(
    project: WineProject, credentials: str, message: str
) -> None:
    project.write("conf/local/credentials.yml", f"{credentials}\n")
    project.write("conf/base/ratoon.yml", "credentials: cellar\n")
    done = project.kedro(*LIGHT)
    output = done.stdout + done.stderr
    assert done.returncode == 0
    (complaint,) = project.complaints(output)
    assert message in complaint
    assert "hunter2" not in output


def test_a_process_forgets_what_it_was_told_for_another_run(monkeypatch: pytest.MonkeyPatch) -> None:
    first = find_credentials("a", {"credentials": {"a": {"token": "one"}}})
    assert repr(first) == "Credentials(…)"
    use_credentials(first)
    assert os.environ["RATOON_TRACKING_TOKEN"] == "one"
    second = find_credentials("b", {"credentials": {"b": {"username": "anna", "password": "two"}}})
    assert second == Credentials(username="anna", password="two"), "what we set is not the user's"
    use_credentials(second)
    assert "RATOON_TRACKING_TOKEN" not in os.environ
    assert os.environ["RATOON_TRACKING_USERNAME"] == "anna"
    use_credentials(None)
    assert not any("_TRACKING_" in name for name in os.environ)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "mine")
    assert find_credentials("a", {"credentials": {"a": {"token": "one"}}}) is None
    use_credentials(None)
    assert os.environ["MLFLOW_TRACKING_TOKEN"] == "mine"


def test_a_key_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidSetting, match=r"credentials 'a' are not in credentials.yml \(known keys are b\)"):
        find_credentials("a", {"credentials": {"b": {}}})
