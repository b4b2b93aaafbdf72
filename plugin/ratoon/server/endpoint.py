"""The table of routes: what answers a request, and which right it takes to ask.

No route exists that does not say who may use it: both classes refuse to be made without a permission.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ratoon.tracking.client import Client

# The user interface of MLflow asks under the second one; the answers are the same.
MLFLOW = ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow")
MLFLOW_3 = ("/api/3.0/mlflow", "/ajax-api/3.0/mlflow")
ARTIFACTS = ("/api/2.0/mlflow-artifacts", "/ajax-api/2.0/mlflow-artifacts")
RATOON = ("/api/ratoon/1",)

# What a handler answers with: a JSON object, a text, or bytes that are sent as they are.
Answer = Mapping[str, Any] | str | bytes


class Permission(StrEnum):
    """What somebody must be allowed to do, from nothing at all to everything."""

    ANYONE = "anyone"
    READ = "read"
    LOG = "log"
    REGISTER = "register"
    ADMIN = "admin"


class Endpoint(Struct, frozen=True):
    """One route.

    Attributes:
        method: The HTTP method.
        path: What follows the prefix.
        handler: What answers.
        permission: What it takes to ask.
        prefixes: What the path follows; the route exists once for each.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    permission: Permission
    prefixes: tuple[str, ...] = MLFLOW

    def __post_init__(self) -> None:
        if not isinstance(self.permission, Permission):
            raise TypeError(f"{self.method} {self.path} has the permission {self.permission!r}; give a Permission")


class Call(Endpoint, frozen=True):
    """A route whose handler translates: ``handler(client, request) -> Answer``, in a thread of its own.

    Attributes:
        request: The type of the request: fields of the query, of the body and of the path are decoded into it.
        grouped: Whether it may share a transaction with others that come at the same time: it writes a little, to the
            tracking store alone, and could as well be asked twice.
    """

    handler: Callable[[Client, Any], Answer]
    request: type[Struct] = Struct
    grouped: bool = False

    @property
    def listed(self) -> frozenset[str]:
        """The fields that may be given more than once in a query."""
        return _lists_of(self.request)


@functools.cache
def _lists_of(message: type[Struct]) -> frozenset[str]:
    return frozenset(field.name for field in msgspec.structs.fields(message) if "list" in str(field.type))


class Transfer(Endpoint, frozen=True):
    """A route that streams: ``await handler(client, request)`` reads and answers as it likes."""

    handler: Callable[[Client, Request], Awaitable[Response]]
