"""Many requests at once, for so little CPU that the server is what they wait for."""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, cast

CONNECTIONS = 16
# A busy machine may let a server wait.
SILENCE_SECONDS = 120
OK = b"200"

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


def post(port: int, path: str, body: dict[str, Any]) -> bytes:
    """A request as it is sent."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def exchange(port: int, requests: Iterable[bytes], connections: int = CONNECTIONS, *, repeats: int = 0) -> None:
    """Send the requests over so many connections, the next when the one before it was answered with 200.

    One that is refused is sent again, as long as there are ``repeats`` left for all of them; then the benchmark ends.
    """
    waiting = iter(requests)
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for _, request in zip(range(connections), waiting, strict=False):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), SILENCE_SECONDS))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request)
            selector.register(connection, selectors.EVENT_READ, _Sent(request))
        while selector.get_map():
            for key in _ready(selector):
                connection, sent = cast(socket.socket, key.fileobj), cast(_Sent, key.data)
                status = sent.status(connection)
                if status is None:
                    continue
                if status == OK:
                    sent.request = next(waiting, b"")
                elif repeats:
                    repeats -= 1
                else:
                    sys.exit(f"a request was answered with {bytes(sent.received[:1000])!r}")
                sent.received.clear()
                if sent.request:
                    connection.sendall(sent.request)
                else:
                    selector.unregister(connection)


class _Sent:
    """A request on its way, and what has come of its answer."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.received = bytearray()

    def status(self, connection: socket.socket) -> bytes | None:
        """Take what has come; the answer's status if it is complete, None if it is not."""
        chunk = connection.recv(256 * 1024)
        self.received += chunk
        begin = self.received.find(b"\r\n\r\n") + 4
        if chunk and begin < 4:
            return None
        length = _LENGTH.search(self.received, 0, begin)
        if not chunk or length is None:
            sys.exit(f"a request was answered with {bytes(self.received[:1000])!r}")
        is_complete = len(self.received) >= begin + int(length[1])
        return bytes(self.received[9:12]) if is_complete else None


def _ready(selector: selectors.BaseSelector) -> list[selectors.SelectorKey]:
    found = selector.select(SILENCE_SECONDS)
    if not found:
        sys.exit(f"a server was silent for {SILENCE_SECONDS} seconds")
    return [key for key, _ in found]
