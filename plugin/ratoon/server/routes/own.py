"""What MLflow's protocol lacks: metrics as arrays, and aliases moved by compare-and-set with their history."""

from __future__ import annotations

import sys
from array import array
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ratoon.entities import AliasMove
from ratoon.server.endpoint import RATOON, Answer, Call, Permission
from ratoon.server.wire.fields import NUMBERS, Nothing, Required, number
from ratoon.stores.series import MetricSeries, to_block
from ratoon.tracking.client import Client
from ratoon.version import __version__


class History(Struct, frozen=True, kw_only=True):
    """``metrics/history``."""

    run_id: Required
    key: Required


class Sample(History, frozen=True, kw_only=True):
    """``metrics/sample``."""

    points: Annotated[int, Meta(ge=1, le=1_000_000)]


class OneHistory(Struct, frozen=True, kw_only=True):
    """``aliases/history``."""

    name: Required
    alias: str | None = None


def info(client: Client, request: Nothing) -> Answer:
    """Say who answers."""
    return {"name": "ratoon", "version": __version__}


def history(client: Client, request: History) -> Answer:
    """Every point of a metric, as three arrays one behind the other."""
    return _block(client.tracking.metric_history(request.run_id, request.key))


def sample(client: Client, request: Sample) -> Answer:
    """The points that show the shape of a metric, in the same form."""
    return _block(client.tracking.metric_sample(request.run_id, request.key, request.points))


def move_alias(client: Client, request: AliasMove) -> Answer:
    """Move an alias if it is still where the client has seen it."""
    client.registry.move_alias(msgspec.convert(_with_numbers(msgspec.to_builtins(request)), AliasMove))
    return {}


def alias_history(client: Client, request: OneHistory) -> Answer:
    """Every move of an alias, or of all that a name ever had."""
    moves = client.registry.alias_history(request.name, request.alias)
    return {"moves": [_with_words(msgspec.to_builtins(move)) for move in moves]}


def _with_words(value: Any) -> Any:
    """A value in which NaN and the infinities are the words for them: JSON has no numbers for them."""
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return {key: _with_words(each) for key, each in value.items()}
    return [_with_words(each) for each in value] if isinstance(value, list | tuple) else value


def _with_numbers(move: Any) -> Any:
    """A move whose evidence holds numbers where the words for them came in."""
    for verdict in move["verdicts"]:
        verdict["evidence"] = {key: NUMBERS.get(str(each), each) for key, each in verdict["evidence"].items()}
    return move


def _block(series: MetricSeries) -> bytes:
    if sys.byteorder == "little":
        return to_block(series)
    columns: tuple[array[Any], ...] = (series.steps[:], series.timestamps[:], series.values[:])
    for column in columns:
        column.byteswap()
    return b"".join(column.tobytes() for column in columns)


ROUTES = (
    Call("GET", "/info", info, Permission.ANYONE, RATOON, request=Nothing),
    Call("POST", "/metrics/history", history, Permission.READ, RATOON, request=History),
    Call("POST", "/metrics/sample", sample, Permission.READ, RATOON, request=Sample),
    Call("POST", "/aliases/move", move_alias, Permission.REGISTER, RATOON, request=AliasMove),
    Call("GET", "/aliases/history", alias_history, Permission.READ, RATOON, request=OneHistory),
)
