"""How fast a file goes up to a server and down again, what that costs, and how much memory it takes.

Run it with ``make bench``. One client sends random bytes to MLflow's server, to ratoon's and to the limit: a loop that
copies between a socket and a file. The limit waits until the file is on the disk, as ratoon does and MLflow does not.
The median of interleaved rounds. A gigabyte goes to ratoon's server and to the limit alone, to see that neither the
speed nor the memory depends on the size.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from interleaved import Figures, Row, arguments, print_rows, taking_turns
from servers import Server, commands

ROUNDS = 3
MEGABYTE = 1024 * 1024
LARGE, VERY_LARGE = 256 * MEGABYTE, 1024 * MEGABYTE
PIECE = MEGABYTE
ROOT = "/api/2.0/mlflow-artifacts/artifacts"


def main() -> None:
    given = arguments(__doc__ or "", ROUNDS)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        started = commands(given.mlflow, "copying_server.py")
        servers = {key: stack.enter_context(Server(command, Path(name, key))) for key, command in started.items()}
        print_rows("A file through the server", questions(servers, given.rounds))


def questions(servers: Mapping[str, Server], rounds: int) -> Iterator[Row]:
    """A large file to all servers, a very large one to two of them."""
    # The first request imports what later ones find.
    for server in servers.values():
        passed(server, "first.bin", os.urandom(PIECE))
    yield from rows(servers, "256 MiB", LARGE, rounds)
    yield from rows({name: servers[name] for name in ("ours", "limit")}, "1 GiB", VERY_LARGE, rounds)


def rows(servers: Mapping[str, Server], text: str, size: int, rounds: int) -> Iterator[Row]:
    """The rows for files of so many bytes; the memory of the limit says nothing."""
    # Another file each time: what is there already is not to be found again.
    names = (f"{size}-{number}.bin" for number in count())
    found = taking_turns(servers, lambda server: passed(server, next(names), os.urandom(size)), rounds)
    unlimited = {name: figures for name, figures in found.items() if name != "limit"}
    for way in ("up", "down"):
        yield Row.of(f"{text} {way}, wall", found, f"{way} wall", "seconds a byte, as bandwidth")
        yield Row.of(f"{text} {way}, CPU of the server", found, f"{way} cpu")
        yield Row.of(f"{text} {way}, growth of the server's memory", unlimited, f"{way} memory", "bytes")


def passed(server: Server, name: str, content: bytes) -> Figures:
    """A file's way up and down; it is taken away again."""
    path = f"{ROOT}/{name}"
    figures = measured("up", server, lambda: server.request("PUT", path, content), len(content))
    figures |= measured("down", server, lambda: fetch(server, path, content), len(content))
    server.request("DELETE", path)
    return figures


def measured(way: str, server: Server, work: Callable[[], object], size: int) -> Figures:
    """Seconds of wall time a byte, seconds of CPU, and by how many bytes the server's memory grew."""
    began = server.cpu()
    with server.watched() as growth:
        wall_began = time.perf_counter()
        work()
        wall = time.perf_counter() - wall_began
    return {f"{way} wall": wall / size, f"{way} cpu": server.cpu() - began, f"{way} memory": growth()}


def fetch(server: Server, path: str, content: bytes) -> None:
    """Read a file in pieces; the benchmark ends if it is not what was sent."""
    connection = server.connect()
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        piece, position = bytearray(PIECE), 0
        while size := answer.readinto(piece):
            if piece[:size] != content[position : position + size]:
                sys.exit(f"{path} differs from what was sent, after {position} bytes")
            position += size
    finally:
        connection.close()
    if answer.status != 200 or position != len(content):
        sys.exit(f"{path} was answered with {answer.status} and {position} bytes\n{server.log()}")


if __name__ == "__main__":
    main()
