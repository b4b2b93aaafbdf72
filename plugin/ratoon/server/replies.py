"""Answers as they are sent: a status, headers and a content, without Starlette's objects for each of them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ratoon.server.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from ratoon.server.endpoint import Answer

SMALLEST_COMPRESSED = 2048
# What keeps a browser from taking an answer for something else than it says.
NOSNIFF = (b"x-content-type-options", b"nosniff")

_JSON = b"application/json"
_PACKED = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}


class Reply(Struct, frozen=True):
    """An ASGI application that sends one answer."""

    content: bytes
    kind: bytes = _JSON
    status: int = 200
    headers: Mapping[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [(b"content-length", b"%d" % len(self.content)), (b"content-type", self.kind), NOSNIFF]
        for name, value in self.headers.items():
            headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.content})


def reply_of(answer: Answer, compress: bool) -> Reply:
    """What is sent for the answer of a handler."""
    if isinstance(answer, str):
        return Reply(answer.encode(), b"text/plain; charset=utf-8")
    if isinstance(answer, bytes):
        return Reply(answer, b"application/octet-stream")
    content = msgspec.json.encode(answer)
    if not compress or len(content) < SMALLEST_COMPRESSED:
        return Reply(content)
    return Reply(gzip.compress(content, compresslevel=1), headers=_PACKED)


def refusal_of(failure: Failure, headers: Mapping[str, str]) -> Reply:
    """What is sent instead of a result."""
    content = msgspec.json.encode({"error_code": failure.code, "message": failure.message})
    return Reply(content, status=failure.status, headers=headers)
