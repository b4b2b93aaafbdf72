"""Tables of keys and values: params and tags, of whatever they belong to.

Rows that two transactions may write at once are written in one order everywhere, so that they wait for each other and
never for nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from ratoon.errors import InvalidInput
from ratoon.stores.sql.connection import Connection
from ratoon.stores.sql.prepared import Prepared, PreparedByOwner, PreparedForKeys, assignments, insertion

K = TypeVar("K", bound=Hashable)
Owner = Mapping[str, object]


class Pairs:
    """A table of pairs. Who owns some is told by the values of the columns that say so.

    Args:
        table: The table.
        owner: The columns that are its key together with ``key``.
        repeated: Other columns, which repeat something about the owner and are given with it.
    """

    def __init__(self, table: str, *owner: str, repeated: Sequence[str] = ()) -> None:
        added = insertion(table, (*owner, "key", "value", *repeated))
        named = f"FROM {table} WHERE {assignments(owner, between=' AND ')} AND key IN :keys"
        unique, columns = ", ".join((*owner, "key")), ", ".join(owner)
        compared = columns if len(owner) == 1 else f"({columns})"
        self._put = Prepared(f"{added} ON CONFLICT ({unique}) DO UPDATE SET value = excluded.value")
        self._add = Prepared(f"{added} ON CONFLICT DO NOTHING")
        self._find = PreparedForKeys(f"SELECT key, value {named}")
        self._delete = PreparedForKeys(f"DELETE {named}")
        self._read = PreparedByOwner(
            f"SELECT {columns}, key, value FROM {table} WHERE {compared} IN :keys ORDER BY key", width=len(owner)
        )

    def read(self, connection: Connection, owners: Sequence[K]) -> dict[K, dict[str, str]]:
        """Keys and values, by owner: the value of its column, or a tuple where it has several."""
        found = self._read.rows(connection, owners)
        return {owner: {row.key: row.value for row in rows} for owner, rows in found.items()}

    def put(self, connection: Connection, owner: Owner, pairs: Mapping[str, str]) -> None:
        """Add keys and values; a key that is there takes the new value."""
        if pairs:
            self._put.run_many(connection, [{**owner, "key": key, "value": pairs[key]} for key in sorted(pairs)])

    def change(self, connection: Connection, owner: Owner, changes: Mapping[str, str | None]) -> None:
        """Add keys and values, and take away those whose value is None."""
        gone = [key for key, value in changes.items() if value is None]
        self._delete.run(connection, gone, owner)
        self.put(connection, owner, {key: value for key, value in changes.items() if value is not None})

    def add(self, connection: Connection, owner: Owner, pairs: Mapping[str, str], whose: str) -> None:
        """Add keys and values; InvalidInput if a key is there with another value."""
        if not pairs:
            return
        keys = sorted(pairs)
        rows = [{**owner, "key": key, "value": pairs[key]} for key in keys]
        if self._add.run_many(connection, rows) == len(rows):
            return
        for key, value in self._find.rows(connection, keys, owner):
            if value != pairs[key]:
                raise InvalidInput(
                    f"param {key!r} of {whose} is {value!r} and cannot become {pairs[key]!r}; log it under another"
                    " key, or start a new run"
                )


EXPERIMENT_TAGS = Pairs("experiment_tags", "experiment_id")
PARAMS = Pairs("params", "run_pk", repeated=("experiment_id",))
TAGS = Pairs("tags", "run_pk", repeated=("experiment_id",))
MODEL_PARAMS = Pairs("model_params", "model_id")
MODEL_TAGS = Pairs("model_tags", "model_id")
REGISTERED_MODEL_TAGS = Pairs("registered_model_tags", "name")
VERSION_TAGS = Pairs("version_tags", "name", "version")
