"""What a registry must do, as tests. See :mod:`ratoon.stores.protocol` for the documented behaviour."""

from __future__ import annotations

import math

import msgspec
import pytest

from ratoon.entities import ModelStatus, ModelVersion, MoveKind, Query, Verdict
from ratoon.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from ratoon.stores.protocol import Registry
from ratoon.testing._registered import ChangeRules, Registered, RegistrySearchRules
from ratoon.testing.paging import check_refusals, walk
from ratoon.testing.values import at_once, move_of, refused, version_of

RESERVED = ("latest", "Latest", "1", "v1", "V12", "", " ", "a b", "a/b", "a@b", "x" * 256, "champion\n")
BAD_NAMES = ("", " ", " wine", "a/b", "a:b", "a@b", "a%b", "a#b", "a?b", "a\nb", "a\0b", "\ud800", "x" * 501)


class _NameRules(Registered):
    def test_a_registered_model_reads_back_equal(self, store: Registry) -> None:
        created = store.create_registered_model("Größe ≥ 3", "how large", {"team": "cellar"})
        assert (created.name, created.description, created.tags) == ("Größe ≥ 3", "how large", {"team": "cellar"})
        assert (created.aliases, created.latest_version) == ({}, 0)
        assert created.creation_timestamp > 0
        assert store.get_registered_model("Größe ≥ 3") == created

    def test_the_name_of_a_model_is_unique(self, store: Registry, wine: str) -> None:
        before = store.get_registered_model(wine)
        with pytest.raises(AlreadyExists, match="wine"):
            store.create_registered_model(wine, "another")
        assert store.get_registered_model(wine) == before

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_a_name_that_a_uri_could_not_hold_is_refused(self, store: Registry, name: str) -> None:
        with pytest.raises(InvalidInput):
            store.create_registered_model(name)
        assert store.search_registered_models().items == ()

    def test_tags_of_a_model_that_cannot_be_read_back_are_refused(self, store: Registry) -> None:
        for tags in ({"/up": "x"}, {"a": "x" * 8001}, {"a": "\0"}):
            with pytest.raises(InvalidInput):
                store.create_registered_model("wine", tags=tags)
        assert store.search_registered_models().items == ()

    def test_an_unknown_name_is_not_found(self, store: Registry) -> None:
        with pytest.raises(NotFound, match="nobody"):
            store.get_registered_model("nobody")
        with pytest.raises(NotFound):
            store.create_version(version_of("nobody"))
        with pytest.raises(NotFound):
            store.get_version("nobody", 1)
        with pytest.raises(NotFound):
            store.version_by_alias("nobody", "champion")
        for change in (store.delete_registered_model, store.update_registered_model):
            with pytest.raises(NotFound):
                change("nobody")
        with pytest.raises(NotFound):
            store.update_version("nobody", 1)
        with pytest.raises(NotFound):
            store.delete_version("nobody", 1)
        assert store.search_versions(Query(filter="name = 'nobody'")).items == ()
        with pytest.raises(NotFound):
            store.alias_history("nobody", "champion")
        with pytest.raises(NotFound):
            store.move_alias(move_of("nobody", None, 1))

    def test_names_are_listed_in_order_page_by_page(self, store: Registry) -> None:
        for name in ("pear", "apple", "quince", "Fig", "ärger"):
            store.create_registered_model(name)
        wanted = ["Fig", "apple", "pear", "quince", "ärger"]
        for limit in (1, 2, 5, 6):
            assert [model.name for model in walk(store.search_registered_models, limit)] == wanted

    def test_names_that_come_between_pages_move_no_item(self, store: Registry) -> None:
        for name in "bcdef":
            store.create_registered_model(name)
        new = iter(("a", "0", "1"))
        seen = walk(store.search_registered_models, 2, lambda: store.create_registered_model(next(new)))
        assert [model.name for model in seen] == list("bcdef")

    def test_pages_that_make_no_sense_are_refused(self, store: Registry, wine: str) -> None:
        check_refusals(store.search_registered_models)
        check_refusals(store.search_versions)

    def test_a_name_is_found_in_another_spelling_of_the_same_characters(self, store: Registry) -> None:
        composed, decomposed = "caf\u00e9", "cafe\u0301"
        store.create_registered_model(decomposed)
        store.create_version(version_of(composed))
        assert store.get_registered_model(decomposed).latest_version == 1
        assert store.get_version(decomposed, 1).name == composed


class _VersionRules(Registered):
    def test_a_version_reads_back_equal(self, store: Registry, wine: str) -> None:
        given = version_of(
            wine,
            version=99,
            run_id="a" * 32,
            model_id=f"m-{'b' * 32}",
            user_id="ada",
            description="Größe \N{SEEDLING}",
            status=ModelStatus.PENDING,
            tags={"note": "first", "empty": ""},
        )
        created = store.create_version(given)
        assert created.version == 4
        assert created.creation_timestamp > 0
        assert store.get_version(wine, 4) == created
        times = {"creation_timestamp": 0, "last_updated_timestamp": 0}
        assert msgspec.structs.replace(created, version=99, **times) == given

    def test_versions_are_counted_for_each_name(self, store: Registry, wine: str) -> None:
        store.create_registered_model("beer")
        assert store.create_version(version_of("beer")).version == 1
        assert store.create_version(version_of(wine)).version == 4
        assert store.get_registered_model(wine).latest_version == 4

    def test_versions_made_at_once_have_consecutive_numbers(self, store: Registry, wine: str) -> None:
        answers = at_once(lambda number: store.create_version(version_of(wine, description=str(number))))
        versions = [answer for answer in answers if isinstance(answer, ModelVersion)]
        assert sorted(version.version for version in versions) == list(range(4, 20))
        for version in versions:
            assert store.get_version(wine, version.version) == version

    def test_an_unknown_version_is_not_found(self, store: Registry, wine: str) -> None:
        for number in (0, -1, 4, 10**6):
            with pytest.raises(NotFound, match="3"):
                store.get_version(wine, number)
            with pytest.raises(NotFound):
                store.update_version(wine, number, tags={"a": "b"})

    def test_versions_are_listed_newest_first_page_by_page(self, store: Registry, wine: str) -> None:
        for limit in (1, 2, 3, 4):
            pages = walk(store.search_versions, limit, query=Query(filter=f"name = '{wine}'"))
            assert [version.version for version in pages] == [3, 2, 1]

    def test_versions_that_come_between_pages_move_no_item(self, store: Registry, wine: str) -> None:
        pages = walk(store.search_versions, 1, lambda: store.create_version(version_of(wine)))
        assert [version.version for version in pages] == [3, 2, 1]

    def test_tags_of_a_version_are_added_and_overwritten(self, store: Registry, wine: str) -> None:
        store.update_version(wine, 2, tags={"note": "first", "kept": "yes", "gone": "soon"})
        store.update_version(wine, 2, tags={"note": "second", "gone": None, "never": None})
        store.update_version(wine, 2, tags={})
        assert store.get_version(wine, 2).tags == {"note": "second", "kept": "yes"}
        assert store.get_version(wine, 1).tags == {}

    def test_tags_that_cannot_be_read_back_are_refused(self, store: Registry, wine: str) -> None:
        for tags in ({"ok": "1", "/up": "2"}, {"ok": "1", "long": "x" * 8001}):
            with pytest.raises(InvalidInput):
                store.update_version(wine, 1, tags=tags)
            with pytest.raises(InvalidInput):
                store.create_version(version_of(wine, tags=tags))
        assert store.get_version(wine, 1).tags == {}
        assert store.get_registered_model(wine).latest_version == 3


class _AliasRules(Registered):
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
        assert len(store.alias_history(wine, "champion")) == 1

    def test_a_move_from_a_holder_to_nobody_is_a_conflict_too(self, store: Registry, wine: str) -> None:
        with pytest.raises(Conflict, match="nobody"):
            store.move_alias(move_of(wine, 1, 2))
        assert store.alias_history(wine, "champion") == []

    def test_of_many_moves_at_once_exactly_one_wins(self, store: Registry, wine: str) -> None:
        moves = [move_of(wine, None, 1 + number % 3, reason=str(number)) for number in range(16)]
        errors = refused(at_once(lambda number: store.move_alias(moves[number])))
        (won,) = store.alias_history(wine, "champion")
        assert won in moves
        assert store.version_by_alias(wine, "champion").version == won.to_version
        assert [type(error) for error in errors] == [Conflict] * 15
        assert all(f"version {won.to_version}" in str(error) for error in errors)

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
        assert store.alias_history(wine, "champion") == []

    @pytest.mark.parametrize("alias", RESERVED)
    def test_an_alias_that_reads_as_something_else_is_refused(self, store: Registry, wine: str, alias: str) -> None:
        with pytest.raises(InvalidInput):
            store.move_alias(move_of(wine, None, 1, alias=alias))
        assert store.get_registered_model(wine).aliases == {}


class RegistryContract(_NameRules, _VersionRules, _AliasRules, ChangeRules, RegistrySearchRules):
    """Every rule for registries; subclass it and give it a fixture ``store``."""
