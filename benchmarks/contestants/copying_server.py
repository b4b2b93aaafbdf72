"""The floor of a file on its way: a loop that copies between a socket and a file, and puts what came in on the disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECE = 1024 * 1024

folder, port = Path(sys.argv[1]), int(sys.argv[2])


class Copying(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        with open(self._file(), "wb") as file:
            self._copy(file.write)
            file.flush()
            os.fsync(file.fileno())
        self._answer(b"{}")

    def do_POST(self) -> None:
        self._copy(lambda _: None)
        self._answer(b"{}")

    def do_DELETE(self) -> None:
        self._file().unlink()
        self._answer(b"{}")

    def do_GET(self) -> None:
        piece = bytearray(PIECE)
        with open(self._file(), "rb") as file:
            self._answer(b"", os.fstat(file.fileno()).st_size)
            while size := file.readinto(piece):
                self.connection.sendall(memoryview(piece)[:size])

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _copy(self, take: Callable[[memoryview], object]) -> None:
        left, piece = int(self.headers["Content-Length"]), bytearray(PIECE)
        while left:
            size = self.rfile.readinto(memoryview(piece)[: min(left, PIECE)])
            if not size:
                raise ConnectionError("the client went away")
            take(memoryview(piece)[:size])
            left -= size

    def _answer(self, content: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def _file(self) -> Path:
        return folder / self.path.replace("/", "-")


ThreadingHTTPServer(("127.0.0.1", port), Copying).serve_forever()
