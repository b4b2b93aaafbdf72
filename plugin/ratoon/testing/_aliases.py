"""What a registry must do with aliases, as tests; a part of its contract."""

from __future__ import annotations

import math

import msgspec
import pytest

from ratoon.entities import MoveKind, Verdict
from ratoon.errors import Conflict, InvalidInput, NotFound
from ratoon.stores.protocol import Registry
from ratoon.testing._registered import Registered
from ratoon.testing.limits import Limit, beyond, within
from ratoon.testing.values import at_once, move_of, refused

RESERVED = ("latest", "Latest", "1", "v1", "V12", "", " ", "a b", "a/b", "a@b", "x" * 256, "champion\n")


class AliasRules(Registered):
    """An alias has one holder; who it is changes by compare-and-set, and every move is kept."""

    def test_the_holder_of_an_alias_is_seen_everywhere(self, store: Registry, wine: str) -> None:
        store.move_alias(move_of(wine, None, 2))
        store.move_alias(move_of(wine, None, 2, alias="Im-Keller_3"))
        assert store.version_by_alias(wine, "champion").version == 2
        assert store.get_registered_model(wine).aliases == {"champion": 2, "Im-Keller_3": 2}
        assert set(store.get_version(wine, 2).aliases) == {"champion", "Im-Keller_3"}
        assert store.get_version(wine, 1).aliases == ()

    def test_an_alias_that_nobody_holds_is_not_found(self, store: Registry, wine: str) -> None:
        store.move_alias(move_of(wine, None, 2))
        with pytest.raises(NotFound, match="champion.*2"):
            store.version_by_alias(wine, "challenger")

    def test_an_alias_is_taken_away(self, store: Registry, wine: str) -> None:
        store.move_alias(move_of(wine, None, 2))
        store.move_alias(move_of(wine, 2, None, kind=MoveKind.DELETE))
        assert store.get_registered_model(wine).aliases == {}
        with pytest.raises(NotFound):
            store.version_by_alias(wine, "champion")

    @pytest.mark.parametrize("expected", [None, 1, 3])
    def test_a_move_from_another_holder_is_a_conflict(self, store: Registry, wine: str, expected: int | None) -> None:
        store.move_alias(move_of(wine, None, 2))
        with pytest.raises(Conflict, match="version 2"):
            store.move_alias(move_of(wine, expected, 3))
        assert store.version_by_alias(wine, "champion").version == 2

    def test_a_move_from_a_holder_to_nobody_is_a_conflict_too(self, store: Registry, wine: str) -> None:
        with pytest.raises(Conflict, match="nobody"):
            store.move_alias(move_of(wine, 1, 2))
        assert store.get_registered_model(wine).aliases == {}

    @within(Limit.ATOMIC_MOVES)
    def test_of_many_moves_at_once_one_is_left(self, store: Registry, wine: str) -> None:
        errors = refused(at_once(lambda number: store.move_alias(move_of(wine, None, 1 + number % 3)), 8))
        assert len(errors) < 8 and {type(error) for error in errors} <= {Conflict}
        assert store.get_registered_model(wine).aliases == {
            "champion": store.version_by_alias(wine, "champion").version
        }

    @beyond(Limit.ATOMIC_MOVES)
    def test_of_many_moves_at_once_exactly_one_wins(self, store: Registry, wine: str) -> None:
        moves = [move_of(wine, None, 1 + number % 3, reason=str(number)) for number in range(16)]
        errors = refused(at_once(lambda number: store.move_alias(moves[number])))
        (won,) = store.alias_history(wine, "champion")
        assert won in moves
        assert store.version_by_alias(wine, "champion").version == won.to_version
        assert [type(error) for error in errors] == [Conflict] * 15
        assert all(f"version {won.to_version}" in str(error) for error in errors)

    @within(Limit.ALIAS_HISTORY)
    def test_the_history_of_an_alias_is_refused(self, store: Registry, wine: str) -> None:
        store.move_alias(move_of(wine, None, 1))
        with pytest.raises(InvalidInput, match="'champion'.*'wine'"):
            store.alias_history(wine, "champion")

    @within(Limit.ALIAS_HISTORY)
    def test_a_refused_promotion_moves_nothing(self, store: Registry, wine: str) -> None:
        store.move_alias(move_of(wine, None, 1))
        store.move_alias(move_of(wine, 1, 2, kind=MoveKind.REFUSED))
        assert store.version_by_alias(wine, "champion").version == 1

    @beyond(Limit.ALIAS_HISTORY)
    def test_a_move_that_lost_is_not_in_the_history(self, store: Registry, wine: str) -> None:
        with pytest.raises(Conflict):
            store.move_alias(move_of(wine, 1, 2))
        assert store.alias_history(wine, "champion") == []
        with pytest.raises(NotFound):
            store.alias_history("nobody", "champion")
        store.move_alias(move_of(wine, None, 2))
        with pytest.raises(Conflict):
            store.move_alias(move_of(wine, None, 3))
        with pytest.raises(NotFound):
            store.move_alias(move_of(wine, 2, 4))
        assert [move.to_version for move in store.alias_history(wine, "champion")] == [2]

    @beyond(Limit.ALIAS_HISTORY)
    def test_the_history_of_an_alias_is_complete_and_in_order(self, store: Registry, wine: str) -> None:
        verdicts = (
            Verdict(gate="auc", passed=True, reason="0.9 ≥ 0.8", evidence={"candidate": 0.9, "limits": [0, None]}),
            Verdict(gate="bias", passed=False, reason="none", evidence={"worst": math.inf, "group": "Größe"}),
        )
        moves = [
            move_of(wine, None, 1),
            move_of(wine, 1, 3, kind=MoveKind.PROMOTE, verdicts=verdicts, moved_by="bob", timestamp=5),
            move_of(wine, 3, 1, kind=MoveKind.ROLLBACK, reason=""),
            move_of(wine, 1, None, kind=MoveKind.DELETE),
        ]
        for move in moves:
            store.move_alias(move)
            store.move_alias(msgspec.structs.replace(move, alias="other"))
        assert store.alias_history(wine, "champion") == moves
        assert store.alias_history(wine, "never-held") == []
        both = [msgspec.structs.replace(move, alias=alias) for move in moves for alias in ("champion", "other")]
        assert store.alias_history(wine) == both

    @beyond(Limit.ALIAS_HISTORY)
    def test_a_refused_promotion_is_kept_and_moves_nothing(self, store: Registry, wine: str) -> None:
        store.move_alias(move_of(wine, None, 1))
        refusal = move_of(wine, 1, 2, kind=MoveKind.REFUSED, verdicts=(Verdict(gate="g", passed=False, reason="no"),))
        store.move_alias(refusal)
        assert store.version_by_alias(wine, "champion").version == 1
        assert store.alias_history(wine, "champion")[1:] == [refusal]

    def test_an_alias_cannot_be_given_to_an_unknown_version(self, store: Registry, wine: str) -> None:
        with pytest.raises(NotFound):
            store.move_alias(move_of(wine, None, 4))
        assert store.get_registered_model(wine).aliases == {}

    @pytest.mark.parametrize("alias", RESERVED)
    def test_an_alias_that_reads_as_something_else_is_refused(self, store: Registry, wine: str, alias: str) -> None:
        with pytest.raises(InvalidInput):
            store.move_alias(move_of(wine, None, 1, alias=alias))
        assert store.get_registered_model(wine).aliases == {}
