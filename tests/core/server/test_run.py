"""``ratoon server`` as users meet it: refusals in this process, the rest through ``python -m ratoon server``."""

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

import httpx
import pytest

from ratoon.errors import InvalidInput, StoreError
from ratoon.server.run import run_server
from ratoon.tracking.client import Client

from .conftest import API


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org", ""])
def test_hosts_that_others_reach_are_refused(host: str, client: Client) -> None:
    with pytest.raises(InvalidInput, match="is refused .*nobody is asked who they are.*--allow-remote"):
        run_server(client, host=host)


def test_an_address_of_another_machine_is_refused(client: Client) -> None:
    with pytest.raises(
        InvalidInput, match="host '192.0.2.1' cannot be listened on .*; give an address of this machine"
    ):
        run_server(client, host="192.0.2.1", allow_remote=True)


def test_a_port_in_use_is_refused(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"port {port} on 127.0.0.1 is in use .*; choose another, or 0"):
            run_server(client, port=port)


def test_a_port_that_does_not_exist_is_refused(client: Client) -> None:
    with pytest.raises(InvalidInput, match="port 70000 is not possible; give one from 1 to 65535"):
        run_server(client, port=70000)


def test_a_store_that_cannot_be_opened_is_said_before_anything_is_answered(tmp_path: Path) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database, however long it is looked at" * 100)
    with pytest.raises(StoreError, match="broken.db"):
        run_server(Client(tracking_uri=f"sqlite:///{broken}"))


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "ratoon",
        "--tracking-uri",
        f"sqlite:///{folder / 'ratoon.db'}",
        "server",
        *options,
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)


@pytest.fixture
def server(uri: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, over a database that is there already."""
    with start(tmp_path, "--port", "0") as running:
        try:
            yield running
        finally:
            running.kill()


def url_of(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    assert select.select([server.stderr], [], [], 60)[0], "the server said nothing"
    line = server.stderr.readline()
    found = re.fullmatch(r"ratoon server on (http://127\.0\.0\.1:\d+) keeps sqlite:///.*/ratoon\.db\n", line)
    assert found, line
    return found[1]


@pytest.mark.slow
def test_the_command_says_one_line_and_answers(server: subprocess.Popen[str]) -> None:
    url = url_of(server)
    assert httpx.get(f"{url}/health").text == "OK"
    assert httpx.get(f"{url}/api/ratoon/1/info").json()["name"] == "ratoon"
    assert "server" not in httpx.get(f"{url}/health").headers
    for _ in range(20):
        httpx.post(f"{url}{API}/runs/create", json={}).raise_for_status()
        httpx.post(f"{url}{API}/runs/create", json={"run_name": 5})
    server.send_signal(signal.SIGTERM)
    assert server.wait(30) == 0
    assert server.stderr is not None
    assert server.stderr.read() == ""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_are_finished(number: signal.Signals, server: subprocess.Popen[str]) -> None:
    url = url_of(server)
    host, port = url.removeprefix("http://").split(":")
    body = b'{"run_name":"late"}'
    answers: list[bytes] = []
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST {API}/runs/create HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
        time.sleep(0.3)
        server.send_signal(number)
        time.sleep(0.3)
        reader = threading.Thread(target=lambda: answers.append(connection.recv(65536)))
        reader.start()
        connection.sendall(body[-1:])
        reader.join(20)
    assert answers and answers[0].startswith(b"HTTP/1.1 200 ")
    assert server.wait(30) == 0


@pytest.mark.slow
def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    with start(tmp_path, "--host", "0.0.0.0") as refused:
        assert refused.wait(60) == 2
        assert refused.stderr is not None
        lines = refused.stderr.read().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("ratoon: host '0.0.0.0' is refused")
