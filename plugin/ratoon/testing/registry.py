"""What a registry must do, as tests. See :mod:`ratoon.stores.protocol` for the documented behaviour."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from ratoon.entities import ModelStatus, ModelVersion, Query
from ratoon.errors import AlreadyExists, InvalidInput, NotFound
from ratoon.stores.protocol import Registry
from ratoon.testing._aliases import AliasRules
from ratoon.testing._registered import ChangeRules, Registered, RegistrySearchRules, Versions
from ratoon.testing.limits import Limit, beyond, within
from ratoon.testing.paging import check_refusals, walk
from ratoon.testing.values import at_once, move_of

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

    def test_an_unknown_name_is_not_found(self, store: Registry, version: Versions) -> None:
        with pytest.raises(NotFound, match="nobody"):
            store.get_registered_model("nobody")
        with pytest.raises(NotFound):
            store.create_version(version("nobody"))
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
            store.move_alias(move_of("nobody", None, 1))

    def test_names_are_listed_in_order_page_by_page(self, store: Registry) -> None:
        for name in ("pear", "apple", "quince", "fig", "grape"):
            store.create_registered_model(name)
        wanted = ["apple", "fig", "grape", "pear", "quince"]
        for limit in (1, 2, 5, 6):
            assert [model.name for model in walk(store.search_registered_models, limit)] == wanted

    @beyond(Limit.ORDER_OF_NAMES)
    def test_names_are_in_the_order_of_their_characters(self, store: Registry) -> None:
        for name in ("pear", "ärger", "Fig"):
            store.create_registered_model(name)
        assert [model.name for model in store.search_registered_models().items] == ["Fig", "pear", "ärger"]

    @within(Limit.ORDER_OF_NAMES)
    def test_names_of_every_alphabet_are_listed(self, store: Registry) -> None:
        for name in ("pear", "ärger", "Fig"):
            store.create_registered_model(name)
        assert {model.name for model in walk(store.search_registered_models, 2)} == {"Fig", "pear", "ärger"}

    @within(Limit.STEADY_PAGES)
    def test_names_that_come_between_pages_hide_none(self, store: Registry) -> None:
        for name in "bcdef":
            store.create_registered_model(name)
        new = iter(("a", "0", "1"))
        seen = walk(store.search_registered_models, 2, lambda: _create_next(store, new))
        assert set("bcdef") <= {model.name for model in seen}

    @beyond(Limit.STEADY_PAGES)
    def test_names_that_come_between_pages_move_no_item(self, store: Registry) -> None:
        for name in "bcdef":
            store.create_registered_model(name)
        new = iter(("a", "0", "1"))
        seen = walk(store.search_registered_models, 2, lambda: store.create_registered_model(next(new)))
        assert [model.name for model in seen] == list("bcdef")

    def test_pages_that_make_no_sense_are_refused(self, store: Registry, wine: str) -> None:
        check_refusals(store.search_registered_models)
        check_refusals(store.search_versions)

    def test_a_name_is_found_in_another_spelling_of_the_same_characters(
        self, store: Registry, version: Versions
    ) -> None:
        composed, decomposed = "caf\u00e9", "cafe\u0301"
        store.create_registered_model(decomposed)
        store.create_version(version(composed))
        assert store.get_registered_model(decomposed).latest_version == 1
        assert store.get_version(decomposed, 1).name == composed


class _VersionRules(Registered):
    def test_a_version_reads_back_equal(self, store: Registry, wine: str, version: Versions, model_id: str) -> None:
        text = {"description": "Größe \N{SEEDLING}", "tags": {"note": "first", "empty": ""}}
        created = store.create_version(version(wine, version=99, model_id=model_id, **text))
        assert (created.version, created.model_id, created.source) == (4, model_id, f"models:/{model_id}")
        assert (created.description, created.tags) == (text["description"], text["tags"])
        assert created.creation_timestamp > 0
        assert store.get_version(wine, 4) == created

    @beyond(Limit.AUTHORS)
    def test_the_author_and_the_status_of_a_version_are_kept(
        self, store: Registry, wine: str, version: Versions
    ) -> None:
        created = store.create_version(version(wine, user_id="ada", status=ModelStatus.PENDING))
        assert (created.user_id, created.status) == ("ada", ModelStatus.PENDING)
        assert store.get_version(wine, 4) == created

    @within(Limit.AUTHORS)
    def test_a_version_is_ready_and_nobodys(self, store: Registry, wine: str, version: Versions) -> None:
        created = store.create_version(version(wine, user_id="ada", status=ModelStatus.PENDING))
        assert (created.user_id, created.status) == ("", ModelStatus.READY)

    @beyond(Limit.SOURCES)
    def test_a_version_may_come_from_anywhere(self, store: Registry, wine: str, version: Versions) -> None:
        given = version(wine, run_id="a" * 32, source="s3://bucket/model", version=99)
        created = store.create_version(given)
        assert store.get_version(wine, 4) == created
        assert (created.run_id, created.source, created.model_id) == ("a" * 32, "s3://bucket/model", None)

    @within(Limit.SOURCES)
    def test_a_version_of_another_place_is_refused(self, store: Registry, wine: str, version: Versions) -> None:
        with pytest.raises(InvalidInput, match="s3://bucket/model"):
            store.create_version(version(wine, source="s3://bucket/model"))
        assert store.get_registered_model(wine).latest_version == 3

    def test_versions_are_counted_for_each_name(self, store: Registry, wine: str, version: Versions) -> None:
        store.create_registered_model("beer")
        assert store.create_version(version("beer")).version == 1
        assert store.create_version(version(wine)).version == 4
        assert store.get_registered_model(wine).latest_version == 4

    def test_versions_made_at_once_have_consecutive_numbers(
        self, store: Registry, wine: str, version: Versions
    ) -> None:
        answers = at_once(lambda number: store.create_version(version(wine, description=str(number))))
        made = [answer for answer in answers if isinstance(answer, ModelVersion)]
        assert sorted(each.version for each in made) == list(range(4, 20))
        for each in made:
            assert store.get_version(wine, each.version) == each

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

    @within(Limit.STEADY_PAGES)
    def test_versions_that_come_between_pages_hide_none(self, store: Registry, wine: str, version: Versions) -> None:
        new = iter((version(wine), version(wine)))
        seen = walk(store.search_versions, 1, lambda: _store_next(store, new))
        assert {1, 2, 3} <= {found.version for found in seen}

    @beyond(Limit.STEADY_PAGES)
    def test_versions_that_come_between_pages_move_no_item(self, store: Registry, wine: str, version: Versions) -> None:
        pages = walk(store.search_versions, 1, lambda: store.create_version(version(wine)))
        assert [version.version for version in pages] == [3, 2, 1]

    def test_tags_of_a_version_are_added_and_overwritten(self, store: Registry, wine: str) -> None:
        store.update_version(wine, 2, tags={"note": "first", "kept": "yes", "gone": "soon"})
        store.update_version(wine, 2, tags={"note": "second", "gone": None, "never": None})
        store.update_version(wine, 2, tags={})
        assert store.get_version(wine, 2).tags == {"note": "second", "kept": "yes"}
        assert store.get_version(wine, 1).tags == {}

    def test_tags_that_cannot_be_read_back_are_refused(self, store: Registry, wine: str, version: Versions) -> None:
        for tags in ({"ok": "1", "/up": "2"}, {"ok": "1", "long": "x" * 8001}):
            with pytest.raises(InvalidInput):
                store.update_version(wine, 1, tags=tags)
            with pytest.raises(InvalidInput):
                store.create_version(version(wine, tags=tags))
        assert store.get_version(wine, 1).tags == {}
        assert store.get_registered_model(wine).latest_version == 3


class RegistryContract(_NameRules, _VersionRules, AliasRules, ChangeRules, RegistrySearchRules):
    """Every rule for registries; subclass it and give it a fixture ``store``."""


def _create_next(store: Registry, names: Iterator[str]) -> None:
    for name in islice(names, 1):
        store.create_registered_model(name)


def _store_next(store: Registry, versions: Iterator[ModelVersion]) -> None:
    for version in islice(versions, 1):
        store.create_version(version)
