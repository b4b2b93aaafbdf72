"""Artifacts behind a server: MLflow's proxy, ``/api/2.0/mlflow-artifacts``, of ratoon's server or MLflow's own.

Contents pass through in pieces, whatever their size. What is read is compared with the length that the server announced
and with the digest, where it sends one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from ratoon.artifacts.paths import check_path
from ratoon.entities import Artifact
from ratoon.errors import Corrupt, NotFound, StoreUnavailable
from ratoon.remote.connection import Connection

if TYPE_CHECKING:
    import httpx

ROOT = "/api/2.0/mlflow-artifacts/artifacts"
CHUNK = 1024 * 1024
# A server may be silent for so many times as long as for other requests while it puts a large file on its disk.
PATIENCE = 5


class RemoteArtifactStore:
    """Files behind a server's proxy. See :class:`ratoon.artifacts.protocol.ArtifactStore` for each method."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"RemoteArtifactStore({self._connection.base!r})"

    @property
    def address(self) -> str:
        """The server's URL, without credentials."""
        return self._connection.base

    def write(self, path: str, stream: BinaryIO) -> Artifact:
        """Send everything that the stream yields; a stream that can go back is sent again if the connection breaks."""
        url = _url(path)
        begin = stream.tell() if _can_go_back(stream) else None
        sent = _Sent(stream)

        def send() -> httpx.Response:
            if begin is not None:
                stream.seek(begin)
            sent.begin()
            # A stream without an end mark is no file for the server, so one that breaks off never looks complete.
            return self._connection.client.put(url, content=sent.chunks(), timeout=self._timeout())

        response = self._connection.attempt(send, repeatable=begin is not None)
        digest = _digest_of(response)
        if digest is not None and digest != sent.digest:
            raise Corrupt(f"artifact '{path}' reached the server with another content; log it again")
        return Artifact(path=path, file_size=sent.size, digest=sent.digest)

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the content in chunks; Corrupt instead of the last one if it is not what the server has."""
        return self._received(path, _url(path))

    def stat(self, path: str) -> Artifact:
        """Size and, from ratoon's server, digest of a file; NotFound if there is none."""
        folder, _, name = check_path(path).rpartition("/")
        for found in self.list(folder):
            if found.path == name and not found.is_dir:
                return Artifact(path=path, file_size=found.file_size, digest=found.digest)
        raise NotFound(f"artifact '{path}' does not exist; list what is there before you read it")

    def list(self, path: str = "") -> list[Artifact]:
        """What lies directly in a folder, by name, with paths relative to it; nothing for one that is not there."""
        query = {"path": check_path(path)} if path else {}
        files: list[dict[str, Any]] = self._connection.call("GET", ROOT, query=query).get("files") or []
        found = [_artifact(each) for each in files]
        return sorted(found, key=lambda artifact: (artifact.path, artifact.is_dir))

    def delete(self, path: str) -> None:
        """Take a file or a folder away; not an error if it is not there."""
        self._connection.request("DELETE", _url(path))

    def _received(self, path: str, url: str) -> Iterator[bytes]:
        import httpx

        client = self._connection.client
        request = client.build_request("GET", url, headers={"Accept-Encoding": "identity"}, timeout=self._timeout())
        response = self._connection.attempt(lambda: client.send(request, stream=True))
        hasher, size, held = hashlib.sha256(), 0, b""
        try:
            for chunk in response.iter_bytes(CHUNK):
                hasher.update(chunk)
                size += len(chunk)
                if held:
                    yield held
                held = chunk
        except httpx.HTTPError as error:
            raise StoreUnavailable(
                f"artifact '{path}' broke off after {size} bytes ({error or type(error).__name__}); read it again"
            ) from error
        finally:
            response.close()
        announced, digest = response.headers.get("Content-Length"), _digest_of(response)
        if announced is not None and int(announced) != size:
            raise Corrupt(f"artifact '{path}' has {size} bytes instead of {announced}; read it again")
        if digest is not None and digest != hasher.hexdigest():
            raise Corrupt(f"artifact '{path}' is corrupt (its content differs from its digest); log it again")
        if held:
            yield held

    def _timeout(self) -> httpx.Timeout:
        import httpx

        seconds = self._connection.address.timeout()
        return httpx.Timeout(PATIENCE * seconds, connect=min(5.0, seconds))


class _Sent:
    """Counts and hashes what is sent, from the beginning at each attempt."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.begin()

    @property
    def digest(self) -> str:
        return self._hasher.hexdigest()

    def begin(self) -> None:
        self._hasher, self.size = hashlib.sha256(), 0

    def chunks(self) -> Iterator[bytes]:
        while chunk := self._stream.read(CHUNK):
            self._hasher.update(chunk)
            self.size += len(chunk)
            yield chunk


def _url(path: str) -> str:
    return f"{ROOT}/{quote(check_path(path), safe='/')}"


def _can_go_back(stream: BinaryIO) -> bool:
    try:
        return stream.seekable()
    except (AttributeError, io.UnsupportedOperation):
        return False


def _artifact(found: dict[str, Any]) -> Artifact:
    if found.get("is_dir"):
        return Artifact(path=found["path"], is_dir=True)
    return Artifact(path=found["path"], file_size=int(found.get("file_size") or 0), digest=found.get("digest") or None)


def _digest_of(response: httpx.Response) -> str | None:
    """The SHA-256 that a server sent (``Repr-Digest`` or ``Content-Digest``, RFC 9530), in hex."""
    for name in ("Repr-Digest", "Content-Digest"):
        for part in response.headers.get(name, "").split(","):
            algorithm, _, value = part.strip().partition("=")
            if algorithm.lower() == "sha-256":
                try:
                    return base64.b64decode(value.strip(":"), validate=True).hex()
                except binascii.Error:
                    return None
    return None
