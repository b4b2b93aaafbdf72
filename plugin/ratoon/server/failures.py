"""The one place where an error becomes an answer: an HTTP status, MLflow's error code, and a message.

What the caller did wrong is said in full. What went wrong here is in the log: the answer holds no SQL, no path of the
server and no traceback.
"""

from __future__ import annotations

import errno
import logging

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ratoon.errors import AlreadyExists, Conflict, Corrupt, InvalidInput, NotFound, RatoonError, StoreError

logger = logging.getLogger(__name__)

# The names are MLflow's: they are all that its client understands.
_OF_STATUS = {
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    405: "ENDPOINT_NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    501: "NOT_IMPLEMENTED",
}
_FULL = {errno.ENOSPC, errno.EDQUOT}
LONGEST_MESSAGE = 2000


class Failure(Struct, frozen=True):
    """What is answered instead of a result."""

    status: int
    code: str
    message: str


class Unacceptable(Exception):
    """A request that is refused before anything was looked up, with the HTTP status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(status, _OF_STATUS.get(status, "BAD_REQUEST"), message)
        self.headers: dict[str, str] = {}


def failure_of(error: Exception, request: str) -> Failure:
    """What is answered to a request that ended with an error; ``request`` names it in the log."""
    if isinstance(error, Unacceptable):
        return error.failure
    if isinstance(error, HTTPException):
        return _of_http(error, request)
    if isinstance(error, ClientDisconnect):
        return Failure(400, "BAD_REQUEST", "The client went away before the body was complete")
    if isinstance(error, RatoonError):
        return _of_ours(error, request)
    logger.error("%s failed", request, exc_info=error)
    return Failure(500, "INTERNAL_ERROR", "The server failed on this request; its log has the details")


def _of_ours(error: RatoonError, request: str) -> Failure:
    message = str(error)[:LONGEST_MESSAGE].encode(errors="replace").decode()
    if isinstance(error, InvalidInput):
        return Failure(400, "INVALID_PARAMETER_VALUE", message)
    if isinstance(error, AlreadyExists):
        return Failure(400, "RESOURCE_ALREADY_EXISTS", message)
    if isinstance(error, NotFound):
        return Failure(404, "RESOURCE_DOES_NOT_EXIST", message)
    if isinstance(error, Conflict):
        return Failure(409, "RESOURCE_CONFLICT", message)
    logger.error("%s failed: %s", request, error)
    if isinstance(error, Corrupt):
        return Failure(500, "DATA_LOSS", message)
    if isinstance(error, StoreError):
        return _of_store(error)
    return Failure(500, "INTERNAL_ERROR", "The server failed on this request; its log has the details")


def _of_store(error: StoreError) -> Failure:
    if _is_full(error):
        return Failure(507, "TEMPORARILY_UNAVAILABLE", "The server's disk is full; nothing was stored, make room there")
    return Failure(
        503, "TEMPORARILY_UNAVAILABLE", "The server's store failed; try again, the server's log has the details"
    )


def _is_full(error: BaseException) -> bool:
    """Whether a disk without space is the cause; SQLite tells it by text only."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        cause = cause.__cause__
    return "disk is full" in str(error)


def _of_http(error: HTTPException, request: str) -> Failure:
    if error.status_code in (404, 405):
        return Failure(error.status_code, "ENDPOINT_NOT_FOUND", f"{request} is not an endpoint of this server")
    return Failure(error.status_code, _OF_STATUS.get(error.status_code, "BAD_REQUEST"), error.detail)


def too_slow(seconds: float) -> Unacceptable:
    """The refusal of a body that does not come."""
    return Unacceptable(408, f"The body was not complete after {seconds:.0f} seconds; send it faster, or in parts")
