"""The floor of a server: uvicorn on uvloop and httptools, a handler that reads the body and has its answer ready.

Asked for a metric's history, it makes the JSON of points that lie in arrays.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Awaitable, Callable
from itertools import repeat
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import uvicorn

POINTS = 1_000_000
START = 1_700_000_000_000
READY = msgspec.json.encode({"run": {"info": {"run_id": "0" * 32}}})

STEPS = array("q", range(POINTS))
TIMES = array("q", (START + step for step in STEPS))
VALUES = array("d", (1 / (step + 1) for step in STEPS))


class Point(msgspec.Struct):
    key: str
    value: float
    timestamp: int
    step: int


class Points(msgspec.Struct, omit_defaults=True):
    metrics: list[Point]
    next_page_token: str | None = None


def history(query: str) -> bytes:
    asked = dict(parse_qsl(query))
    begin = int(asked.get("page_token", 0))
    end = min(begin + int(asked.get("max_results", POINTS)), POINTS)
    columns = (VALUES[begin:end], TIMES[begin:end], STEPS[begin:end])
    points = list(map(Point, repeat(asked["metric_key"]), *columns))
    return msgspec.json.encode(Points(points, str(end) if end < POINTS else None))


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    content = history(scope["query_string"].decode()) if scope["path"].endswith("/get-history") else READY
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


uvicorn.run(
    app, port=int(sys.argv[2]), loop="uvloop", http="httptools", lifespan="off", ws="none", log_level="warning",
    access_log=False, timeout_keep_alive=120,
)  # fmt: skip
