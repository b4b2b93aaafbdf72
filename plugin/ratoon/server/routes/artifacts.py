"""Files: the proxy through which clients reach the server's store, and listings by run and by model.

A path is a key of the store. It is decoded once, by the rules of URLs, and looked at by
:func:`ratoon.artifacts.paths.check_path` alone; whatever looks encoded after that is part of the name.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast
from urllib.parse import quote, unquote_to_bytes

import anyio
import anyio.to_thread
import msgspec
from anyio.lowlevel import RunVar
from starlette.responses import Response, StreamingResponse

from ratoon.artifacts.paths import check_path, join
from ratoon.entities import Artifact
from ratoon.errors import InvalidInput
from ratoon.server.endpoint import ARTIFACTS, Answer, Call, Permission, Transfer
from ratoon.server.failures import Unacceptable
from ratoon.server.transfers import UploadStream, digest_header, piece_of, pieces
from ratoon.server.wire.artifacts import ListModelFiles, ListProxied, ListRunFiles, files_json
from ratoon.server.wire.fields import Nothing
from ratoon.tracking.client import Client
from ratoon.tracking.locations import artifact_key

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")

# Each file on its way holds a thread: those of the other requests are not for it.
MOST_TRANSFERS = 64


_limiters: RunVar[anyio.CapacityLimiter] = RunVar("transfers")


async def upload(client: Client, request: Request) -> Response:
    """Store a body under a path; nothing is seen of it before all of it is there."""
    path = _path_of(request)
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Unacceptable(415, "Content-Encoding is set; send the file as it is, it is stored byte by byte")
    stream = cast(BinaryIO, UploadStream(request))
    stored = await _in_thread(lambda: client.artifacts.write(path, stream))
    return Response(b"{}", media_type="application/json", headers=_identity(stored))


async def download(client: Client, request: Request) -> Response:
    """Send a file, or a part of it."""
    path = _path_of(request)
    found, content = await _in_thread(lambda: _open(client, path))
    size = found.file_size or 0
    try:
        piece = piece_of(request.headers.get("range"), size)
    except Unacceptable as error:
        error.headers["Content-Range"] = f"bytes */{size}"
        raise
    headers = _identity(found) | piece.headers | _harmless(path)
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    if request.method == "HEAD":
        return Response(headers=headers, media_type=kind)
    parts = piece.of(content)
    # Whether the file is there and, if it is small, unharmed shows before the answer begins.
    first = await _in_thread(lambda: next(parts, b""))
    return StreamingResponse(
        pieces(parts, first, _limiter()), 200 if piece.whole else 206, headers=headers, media_type=kind
    )


def _open(client: Client, path: str) -> tuple[Artifact, Iterator[bytes]]:
    """What a file is and what it holds, of one write, however often it is overwritten meanwhile."""
    while True:
        found = client.artifacts.stat(path)
        content = client.artifacts.read(path)
        if client.artifacts.stat(path).digest == found.digest:
            return found, content


async def remove(client: Client, request: Request) -> Response:
    """Remove a file or a folder; not an error if it is not there."""
    path = _path_of(request)
    await _in_thread(lambda: client.artifacts.delete(path))
    return Response(b"{}", media_type="application/json")


def list_proxied(client: Client, request: ListProxied) -> Answer:
    """What lies in a folder of the store, with paths relative to it."""
    folder = (request.path or "").removesuffix("/")
    return files_json(client.artifacts.list(check_path(folder) if folder else ""))


def list_run(client: Client, request: ListRunFiles) -> Answer:
    """What lies in a folder of a run, with paths relative to the run's."""
    return _listing(client, client.tracking.get_run(request.run).artifact_uri, request.path or "")


def list_model(client: Client, request: ListModelFiles) -> Answer:
    """What lies in a folder of a model, with paths relative to the model's."""
    uri = client.tracking.get_model(request.model_id).artifact_uri
    return _listing(client, uri, request.artifact_directory_path or "")


def refuse_presigned(client: Client, request: Nothing) -> Answer:
    """Say that files go through the server: the client then sends them here."""
    raise Unacceptable(
        501, "There are no presigned and no multipart transfers here; send the file with PUT, get it with GET"
    )


def _listing(client: Client, uri: str, folder: str) -> Answer:
    folder = folder.removesuffix("/")
    if folder:
        check_path(folder)
    found = client.artifacts.list(join(artifact_key(uri), folder))
    placed = [msgspec.structs.replace(file, path=join(folder, file.path)) for file in found]
    return {"root_uri": uri, **files_json(placed)}


def _path_of(request: Request) -> str:
    """The path that was asked for, decoded once; InvalidInput if it is not allowed, or not UTF-8."""
    raw: bytes = request.scope["raw_path"].partition(b"?")[0]
    try:
        unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput("Invalid path: it is not UTF-8; encode it so") from error
    return check_path(request.path_params["path"])


def _identity(file: Artifact) -> dict[str, str]:
    return {"ETag": f'"{file.digest}"', "Repr-Digest": digest_header(file.digest)} if file.digest else {}


def _harmless(path: str) -> dict[str, str]:
    """What keeps a browser from showing a file as a page of this server."""
    name = quote(path.rpartition("/")[2], safe="")
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }


def _limiter() -> anyio.CapacityLimiter:
    try:
        return _limiters.get()
    except LookupError:
        _limiters.set(anyio.CapacityLimiter(MOST_TRANSFERS))
        return _limiters.get()


async def _in_thread(work: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(work, limiter=_limiter())


_FILE = "/artifacts/{path:path}"

ROUTES = (
    Call("GET", "/artifacts", list_proxied, Permission.READ, ARTIFACTS, request=ListProxied),
    Transfer("GET", _FILE, download, Permission.READ, ARTIFACTS),
    Transfer("HEAD", _FILE, download, Permission.READ, ARTIFACTS),
    Transfer("PUT", _FILE, upload, Permission.LOG, ARTIFACTS),
    Transfer("DELETE", _FILE, remove, Permission.ADMIN, ARTIFACTS),
    Call("POST", "/mpu/{operation}/{path:path}", refuse_presigned, Permission.LOG, ARTIFACTS, request=Nothing),
    Call("GET", "/presigned/{path:path}", refuse_presigned, Permission.READ, ARTIFACTS, request=Nothing),
    Call("POST", "/artifacts/presigned-upload-url", refuse_presigned, Permission.LOG, request=Nothing),
    Call("POST", "/artifacts/presigned-download-url", refuse_presigned, Permission.READ, request=Nothing),
    Call("GET", "/artifacts/list", list_run, Permission.READ, request=ListRunFiles),
    Call("GET", "/logged-models/{model_id}/artifacts/directories", list_model, Permission.READ, request=ListModelFiles),
)
