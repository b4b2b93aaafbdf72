"""Files on their way, in pieces: however large they are, the server holds two of them.

A body comes in on the event loop and a store reads it in a thread: the thread asks the loop for the next piece, which
is what makes a fast client wait for a slow disk.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
import anyio.to_thread

from ratoon.errors import InvalidInput
from ratoon.server.failures import Unacceptable, too_slow

if TYPE_CHECKING:
    from starlette.requests import Request

# How long a client may send nothing.
SILENCE_SECONDS = 60.0

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]+):")


class UploadStream(io.RawIOBase):
    """A request's body as a file that a thread reads.

    Args:
        request: The request; its body was not touched.

    Raises:
        ClientDisconnect: When it is read, and the client goes away before the end: what was written is not complete.
        InvalidInput: At the end, if the content differs from the digest in ``Content-Digest`` or ``Repr-Digest``.
    """

    def __init__(self, request: Request) -> None:
        self._chunks = request.stream()
        self._held = bytearray()
        self._at_end = False
        self._expected = expected_digest(request.headers)
        self._hasher = hashlib.sha256() if self._expected else None

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes, fewer at the end; everything if it is negative."""
        piece: bytes = anyio.from_thread.run(self._next, size)
        if self._hasher:
            self._hasher.update(piece)
            if self._at_end and not self._held and self._hasher.digest() != self._expected:
                raise InvalidInput("The content differs from the digest that was sent with it; send the file again")
        return piece

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; how many bytes there were."""
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    async def _next(self, size: int) -> bytes:
        try:
            while not self._at_end and (size < 0 or len(self._held) < size):
                with anyio.fail_after(SILENCE_SECONDS):
                    chunk = await anext(self._chunks, None)
                if chunk is None:
                    self._at_end = True
                else:
                    self._held += chunk
        except TimeoutError as error:
            raise too_slow(SILENCE_SECONDS) from error
        stop = len(self._held) if size < 0 else size
        piece = bytes(self._held[:stop])
        del self._held[:stop]
        return piece


class Piece:
    """A part of a file: which bytes of it are asked for."""

    def __init__(self, start: int, stop: int, size: int, *, whole: bool) -> None:
        self.start = start
        self.stop = stop
        self.size = size
        self.whole = whole

    @property
    def headers(self) -> dict[str, str]:
        """What tells the client which part it gets."""
        headers = {"Content-Length": str(self.stop - self.start), "Accept-Ranges": "bytes"}
        if not self.whole:
            headers["Content-Range"] = f"bytes {self.start}-{self.stop - 1}/{self.size}"
        return headers

    def of(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The part, out of the chunks of the whole file; a whole file is read to its end, so that it is verified."""
        position = 0
        for chunk in chunks:
            part = chunk[max(0, self.start - position) : max(0, self.stop - position)]
            position += len(chunk)
            if part:
                yield part
            if not self.whole and position >= self.stop:
                return


def piece_of(header: str | None, size: int) -> Piece:
    """What a ``Range`` header asks for; the whole where there is none, or one that we do not know.

    Raises:
        Unacceptable: It asks for what lies behind the end.
    """
    found = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if found is None or found.groups() == ("", ""):
        return Piece(0, size, size, whole=True)
    first, last = found.groups()
    if len(first) > 18 or len(last) > 18:
        start, stop = size, size
    elif first:
        start, stop = int(first), min(size, int(last) + 1) if last else size
    else:
        start, stop = max(0, size - int(last)), size
    if start >= stop:
        raise Unacceptable(416, f"Range {header!r:.80} lies outside the file, which has {size} bytes; ask for less")
    return Piece(start, stop, size, whole=False)


async def pieces(parts: Iterator[bytes], first: bytes, limiter: anyio.CapacityLimiter) -> AsyncIterator[bytes]:
    """The first piece, then those that a thread reads, one after the other."""
    try:
        piece = first
        while piece:
            yield piece
            piece = await anyio.to_thread.run_sync(next, parts, b"", limiter=limiter)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


def expected_digest(headers: Mapping[str, str]) -> bytes | None:
    """The SHA-256 that the client says its content has (RFC 9530); None if it says nothing."""
    text = headers.get("content-digest") or headers.get("repr-digest") or ""
    found = _DIGEST.search(text)
    if found is None:
        return None
    try:
        return base64.b64decode(found[1], validate=True)
    except binascii.Error as error:
        raise InvalidInput("The digest that was sent is not base64; leave it out, or correct it") from error


def digest_header(digest: str) -> str:
    """A SHA-256 in hex as ``Repr-Digest`` says it."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"
