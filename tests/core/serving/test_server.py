"""``serve`` as users meet it: refusals in this process, the rest through ``python -m ratoon serve``."""

from __future__ import annotations

import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from ratoon.errors import InvalidInput, NotFound
from ratoon.manager import make_manager
from ratoon.models.digests import MANIFEST
from ratoon.models.mlmodel import read_mlmodel, write_mlmodel
from ratoon.models.saving import save_model
from ratoon.serving.server import serve
from ratoon.tracking.client import Client


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org", ""])
def test_hosts_that_others_reach_are_refused(host: str, client: Client) -> None:
    with pytest.raises(
        InvalidInput, match="is refused .*nobody is asked who they are.*; serve on 127.0.0.1 .* allow_remote"
    ):
        serve("models:/iris@champion", client=client, host=host, port=free_port())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_loopback_is_allowed_and_the_model_is_looked_for(host: str, client: Client) -> None:
    with pytest.raises(NotFound, match="iris"):
        serve("models:/iris@champion", client=client, host=host, port=0)


def test_a_remote_host_can_be_allowed(client: Client) -> None:
    with pytest.raises(NotFound, match="iris"):
        serve("models:/iris@champion", client=client, host="0.0.0.0", port=0, allow_remote=True)


def test_an_address_of_another_machine_is_refused(client: Client) -> None:
    with pytest.raises(
        InvalidInput, match="host '192.0.2.1' cannot be listened on .*; give an address of this machine"
    ):
        serve("models:/iris@champion", client=client, host="192.0.2.1", port=0, allow_remote=True)


def test_a_port_in_use_is_refused_before_anything_is_loaded(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"port {port} on 127.0.0.1 is in use .*; choose another, or 0"):
            serve("models:/iris@champion", client=client, port=port)


def test_a_port_that_does_not_exist_is_refused(client: Client) -> None:
    with pytest.raises(InvalidInput, match="port 70000 is not possible; give one from 1 to 65535"):
        serve("models:/iris@champion", client=client, port=70000)


@pytest.fixture
def server(registered: Client) -> Iterator[subprocess.Popen[str]]:
    settings = registered.settings
    command = [sys.executable, "-m", "ratoon", "--tracking-uri", settings.tracking_uri]
    command += ["--artifact-root", settings.artifact_root]
    command += ["serve", "models:/iris@champion", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=settings.home.parent) as running:
        try:
            yield running
        finally:
            running.kill()


def url_of(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    assert select.select([server.stderr], [], [], 60)[0], "the server said nothing"
    line = server.stderr.readline()
    found = re.fullmatch(r"serving models:/iris@champion \(version 1\) on (http://127\.0\.0\.1:\d+)\n", line)
    assert found, line
    return found[1]


@pytest.mark.slow
def test_the_command_serves_a_version_and_describes_it(server: subprocess.Popen[str], rows: Any) -> None:
    with httpx.Client(base_url=url_of(server)) as http:
        assert http.get("/health").json()["version"] == 1
        document = http.get("/openapi.json").json()
        assert document["info"] == {"title": "iris", "version": "1", "description": document["info"]["description"]}
        example = document["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert example["dataframe_split"]["data"] == rows.head(2).to_numpy().tolist()
        assert http.post("/invocations", json=example).json() == {"predictions": ["setosa", "versicolor"]}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(number: signal.Signals, server: subprocess.Popen[str], rows: Any) -> None:
    url = url_of(server)
    body = b'{"dataframe_split":' + rows.head(1).to_json(orient="split").encode() + b"}"
    host, port = url.removeprefix("http://").split(":")
    answers: list[bytes] = []
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        connection.sendall(head + body[:-1])
        time.sleep(0.3)
        server.send_signal(number)
        time.sleep(0.3)
        reader = threading.Thread(target=lambda: answers.append(connection.recv(65536)))
        reader.start()
        connection.sendall(body[-1:])
        reader.join(10)
    assert server.stderr is not None
    assert server.wait(10) == 0
    assert server.stderr.read() == ""
    assert answers and answers[0].startswith(b"HTTP/1.1 200"), answers
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


@pytest.mark.slow
@pytest.mark.parametrize("content", [None, "{", "NaN"])
def test_an_example_that_cannot_be_read_is_left_out(content: str | None, tmp_path: Path, regression: Any) -> None:
    folder = as_mlflow_saves_it(regression, tmp_path / "model")
    info = read_mlmodel(folder)
    write_mlmodel(msgspec.structs.replace(info, saved_input_example_info={"serving_input_path": "e.json"}), folder)
    if content is not None:
        (folder / "e.json").write_text(content)
    command = [sys.executable, "-m", "ratoon", "serve", "model", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as running:
        assert running.stderr is not None
        assert running.stderr.readline().startswith("input example of model is left out (")
        ready = re.fullmatch(r"serving model on (\S+)\n", running.stderr.readline())
        assert ready is not None
        document = httpx.get(f"{ready[1]}/openapi.json").json()
        running.terminate()
    assert "example" not in document["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]


def as_mlflow_saves_it(model: object, folder: Path) -> Path:
    """A folder without digests, so that its files can be changed."""
    manager = make_manager(installed=False)
    info = save_model(model, folder, manager=manager)
    (folder / MANIFEST).unlink()
    write_mlmodel(msgspec.structs.replace(info, ratoon=None), folder)
    return folder


def test_importing_the_local_target_loads_nothing_heavy() -> None:
    code = (
        "import sys, ratoon.serving.targets.local\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & set(sys.argv[1:])))"
    )
    heavy = ["starlette", "uvicorn", "numpy", "pandas", "sqlalchemy", "anyio"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_uvicorn_the_way_out_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from ratoon.serving.server import serve\n"
        "serve('models:/iris@champion', client=None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "MissingExtra: serving needs the package 'uvicorn'; pip install 'ratoon[serve]'" in done.stderr
