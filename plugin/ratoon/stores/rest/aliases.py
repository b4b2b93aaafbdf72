"""Aliases behind a server: ratoon's moves them by compare-and-set and keeps every move, MLflow's only sets them."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import msgspec

from ratoon.entities import AliasMove, MoveKind, RegisteredModel
from ratoon.errors import Conflict, InvalidInput
from ratoon.remote.connection import MLFLOW, RATOON
from ratoon.stores.limits import check_alias, normalised
from ratoon.stores.rest.mapping import to_registered_model
from ratoon.stores.rest.part import RestPart

# How the API writes what JSON has no word for.
_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

logger = logging.getLogger(__name__)


class RestAliases(RestPart):
    """Who holds which alias. See :class:`ratoon.stores.protocol.Registry` for each method."""

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Read a name with its aliases; NotFound if there is none."""
        answer = self._connection.get("/registered-models/get", name=normalised(name))
        return to_registered_model(answer["registered_model"])

    def move_alias(self, move: AliasMove) -> None:
        """Move an alias; on MLflow's server by reading and setting, and without a history."""
        check_alias(move.alias)
        move = msgspec.structs.replace(move, name=normalised(move.name))
        if self._connection.is_ratoon:
            self._connection.call("POST", f"{RATOON}/aliases/move", body=_as_json(move), repeatable=False)
            return
        if move.kind == MoveKind.REFUSED:
            self.get_registered_model(move.name)
            logger.warning("%s keeps no record that a move of alias %r was refused", self._connection.base, move.alias)
            return
        self._check_holder(move)
        named = {"name": move.name, "alias": move.alias}
        if move.to_version is not None:
            try:
                self._connection.post("/registered-models/alias", named | {"version": str(move.to_version)})
            except InvalidInput:  # how MLflow's server answers one of two that are the first
                self._check_holder(move)
                raise
        elif move.from_version is not None:
            self._connection.call("DELETE", f"{MLFLOW}/registered-models/alias", body=named)

    def _check_holder(self, move: AliasMove) -> None:
        holder = self.get_registered_model(move.name).aliases.get(move.alias)
        if holder != move.from_version:
            held = "nobody" if holder is None else f"version {holder}"
            raise Conflict(
                f"alias {move.alias!r} of model {move.name!r} is held by {held} now; look again, then decide"
            )

    def alias_history(self, name: str, alias: str | None = None) -> list[AliasMove]:
        """Every move of an alias, or of all, oldest first; InvalidInput on MLflow's server, which keeps none."""
        if not self._connection.is_ratoon:
            whose = "the aliases" if alias is None else f"alias {alias!r}"
            raise InvalidInput(
                f"history of {whose} of model {name!r} is not kept by the server '{self._connection.base}' (it"
                " is MLflow's own); name the version to go back to, or register models on a ratoon server"
            )
        query = {"name": normalised(name)} | ({} if alias is None else {"alias": alias})
        answer = self._connection.call("GET", f"{RATOON}/aliases/history", query=query)
        return [msgspec.convert(_numbers(move), AliasMove, strict=False) for move in answer.get("moves") or ()]


def _as_json(move: AliasMove) -> dict[str, Any]:
    """A move without numbers that JSON has no word for."""
    # Bare NaN and Infinity survive in the standard library's JSON alone, both ways.
    plain = msgspec.to_builtins(move)
    found: dict[str, Any] = json.loads(json.dumps(plain), parse_constant=str)
    return found


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(each) if key != "reason" else each for key, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return _NUMBERS.get(value, value) if isinstance(value, str) else value
