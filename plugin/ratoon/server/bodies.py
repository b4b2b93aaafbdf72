"""Bodies and queries of requests, read within limits and decoded into messages, MLflow's words for what is wrong."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect

from ratoon.errors import InvalidInput
from ratoon.server.failures import Unacceptable, too_slow
from ratoon.server.wire.fields import MISSING

if TYPE_CHECKING:
    from starlette.types import Receive

    from ratoon.server.endpoint import Call

MAX_BODY = 16 * 2**20
BODY_SECONDS = 60.0
MOST_QUERY_FIELDS = 2000

# A string of JSON, or one of the tokens that Python's json writes and JSON has not.
_BARE = re.compile(rb'"(?:[^"\\]|\\.)*"|(-?Infinity|NaN)', re.DOTALL)
_ERROR = re.compile(r"(?P<what>.*?)(?: - at `(?P<where>[^`]*)`)?", re.DOTALL)
_ABSENT = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_LONGEST_SHOWN = 100


async def read_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """Read a body whole, and undo its compression.

    Args:
        headers: The first of each name, in small letters.
        receive: What the body comes from.

    Raises:
        Unacceptable: It is too large, too slow, or not what its headers say.
        ClientDisconnect: The client went away before its end.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > MAX_BODY:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _received(receive)
    except TimeoutError as error:
        raise too_slow(BODY_SECONDS) from error
    if not body:
        return b""
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Unacceptable(415, f"Content-Type is {kind[:80]!r}; send JSON, and say so with application/json")
    return unpacked(body, headers.get(b"content-encoding", b"").decode("latin-1"))


async def _received(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise _too_large()
        more = message.get("more_body", False)
    return bytes(body)


def unpacked(body: bytes, encoding: str) -> bytes:
    """Undo the compression of a body, no further than to its limit."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise Unacceptable(415, f"Content-Encoding {encoding[:80]!r} is not understood; send gzip, or none")
    reader = zlib.decompressobj(wbits=31)
    try:
        content = reader.decompress(body, MAX_BODY + 1)
    except zlib.error as error:
        raise Unacceptable(400, "The body is not gzip, as its Content-Encoding says; compress it anew") from error
    if len(content) > MAX_BODY:
        raise _too_large()
    if not reader.eof or reader.unused_data:
        raise Unacceptable(400, "The gzip of the body is cut off or has something behind it; compress it anew")
    return content


def decode(call: Call, body: bytes, query: bytes, path: Mapping[str, str]) -> Struct:
    """The message of a request.

    Raises:
        InvalidInput: A field is missing or has a value that it cannot have.
    """
    try:
        if path or not body:
            values: Any = _loads(body, dict[str, Any]) if body else _from_query(call, query)
            message: Struct = msgspec.convert(values | path, call.request, strict=False)
            return message
        message = _loads(body, call.request)
        return message
    except msgspec.ValidationError as error:
        raise InvalidInput(_explained(str(error), body)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The body is not JSON ({error}); send one object in UTF-8, without surrogates") from error
    except RecursionError as error:
        raise InvalidInput("The body is nested too deeply; send what the API asks for") from error


def _loads(body: bytes, wanted: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=wanted, strict=False)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if b"NaN" not in body and b"Infinity" not in body:
            raise
        quoted = _BARE.sub(lambda found: b'"' + found[1] + b'"' if found[1] else found[0], body)
        return msgspec.json.decode(quoted, type=wanted, strict=False)


def _from_query(call: Call, query: bytes) -> dict[str, Any]:
    try:
        found = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_QUERY_FIELDS
        )
    except ValueError as error:
        raise InvalidInput(f"The query cannot be read ({error}); send fewer fields, in UTF-8") from error
    values: dict[str, Any] = {}
    for key, value in found:
        if key in call.listed:
            values.setdefault(key, []).append(value)
        elif values.setdefault(key, value) != value:
            raise InvalidInput(f"Parameter {key[:80]!r} is given twice with different values; give it once")
    return values


def _explained(error: str, body: bytes) -> str:
    """What is wrong in MLflow's words, which some of its users look for."""
    found = _ERROR.fullmatch(error)
    what, where = (found["what"], (found["where"] or "").removeprefix("$").removeprefix(".")) if found else (error, "")
    if absent := _ABSENT.fullmatch(what):
        return MISSING.format(f"{where}.{absent['name']}".lstrip("."))
    if where and (what.endswith("got `null`") or what.startswith("Expected `str` of length >= 1")):
        return MISSING.format(where)
    value = _value_at(where, body)
    return f"Invalid value{value} for parameter '{where or 'body'}' supplied: {what}"


def _value_at(where: str, body: bytes) -> str:
    """The value that was given there, as JSON and not at length; nothing where it cannot be found."""
    try:
        value = msgspec.json.decode(body)
        for step in _steps(where):
            value = value[step]
        return " " + msgspec.json.encode(value)[:_LONGEST_SHOWN].decode(errors="ignore")
    except (msgspec.DecodeError, LookupError, TypeError, RecursionError):
        return ""


def _steps(where: str) -> Iterable[str | int]:
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", where):
        yield int(index) if index and not name else name


def _too_large() -> Unacceptable:
    return Unacceptable(413, f"The body is larger than {MAX_BODY} bytes; send it in parts")
