"""What a registry must do when things are renamed, deleted and searched, as tests; a part of its contract."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import replace

from ratoon.entities import ModelVersion, MoveKind, Query
from ratoon.errors import AlreadyExists, InvalidInput, NotFound
from ratoon.stores.protocol import Registry
from ratoon.testing.limits import Limit, Rules, beyond, within
from ratoon.testing.paging import walk
from ratoon.testing.values import move_of, version_of

Versions = Callable[..., ModelVersion]


class Registered(Rules):
    """What every rule begins with; a subclass says where the registry comes from."""

    @pytest.fixture
    def store(self) -> Registry:
        """A new, empty registry."""
        raise NotImplementedError("give your test class a fixture 'store' that returns a new, empty registry")

    @pytest.fixture
    def model_id(self, store: Registry) -> str:
        """The model that is registered; where the store looks for it, a subclass makes one."""
        return f"m-{'0' * 32}"

    @pytest.fixture
    def version(self, model_id: str) -> Versions:
        """Make a version of a name that is to be stored."""
        return partial(version_of, source=f"models:/{model_id}")

    @pytest.fixture
    def wine(self, store: Registry, version: Versions) -> str:
        """The name of a registered model with three versions."""
        store.create_registered_model("wine")
        for _ in range(3):
            store.create_version(version("wine"))
        return "wine"


class ChangeRules(Registered):
    """What is registered is described, renamed and deleted."""

    def test_a_model_is_described_and_tagged(self, store: Registry, wine: str) -> None:
        before = store.get_registered_model(wine)
        changed = store.update_registered_model(wine, description="Größe", tags={"a": "1", "b": "2"})
        assert (changed.description, changed.tags) == ("Größe", {"a": "1", "b": "2"})
        again = store.update_registered_model(wine, tags={"a": None, "b": "3", "never": None})
        assert (again.description, again.tags) == ("Größe", {"b": "3"})
        assert store.get_registered_model(wine) == again
        assert again.last_updated_timestamp >= before.last_updated_timestamp
        with pytest.raises(InvalidInput):
            store.update_registered_model(wine, description="lost", tags={"/up": "x"})
        assert store.get_registered_model(wine) == again

    def test_a_renamed_model_keeps_everything(self, store: Registry, wine: str, version: Versions) -> None:
        store.update_registered_model(wine, tags={"a": "1"})
        store.update_version(wine, 2, tags={"b": "2"})
        store.move_alias(move_of(wine, None, 2))
        renamed = store.update_registered_model(wine, new_name="cider")
        assert (renamed.name, renamed.tags, renamed.aliases, renamed.latest_version) == (
            "cider",
            {"a": "1"},
            {"champion": 2},
            3,
        )
        assert store.version_by_alias("cider", "champion").tags == {"b": "2"}
        assert store.create_version(version("cider")).version == 4
        with pytest.raises(NotFound):
            store.get_registered_model(wine)

    @beyond(Limit.ALIAS_HISTORY)
    def test_the_history_of_an_alias_goes_with_its_model(self, store: Registry, wine: str) -> None:
        store.move_alias(move_of(wine, None, 2))
        store.update_registered_model(wine, new_name="cider")
        assert [move.to_version for move in store.alias_history("cider", "champion")] == [2]
        store.delete_registered_model("cider")
        store.create_registered_model("cider")
        assert store.alias_history("cider", "champion") == []

    def test_a_model_cannot_take_the_name_of_another(self, store: Registry, wine: str) -> None:
        store.create_registered_model("beer")
        with pytest.raises(AlreadyExists, match="beer"):
            store.update_registered_model(wine, new_name="beer", description="lost")
        assert store.get_registered_model(wine).description == ""
        for bad in ("a/b", "", "a@b"):
            with pytest.raises(InvalidInput):
                store.update_registered_model(wine, new_name=bad)

    def test_a_deleted_model_leaves_nothing(self, store: Registry, wine: str) -> None:
        store.update_version(wine, 1, tags={"a": "b"})
        store.move_alias(move_of(wine, None, 2))
        store.delete_registered_model(wine)
        with pytest.raises(NotFound):
            store.get_version(wine, 1)
        with pytest.raises(NotFound):
            store.delete_registered_model(wine)
        assert store.search_versions().items == ()
        store.create_registered_model(wine)
        assert store.get_registered_model(wine).aliases == {}

    def test_a_deleted_version_takes_its_aliases_along(self, store: Registry, wine: str, version: Versions) -> None:
        store.move_alias(move_of(wine, None, 3))
        store.move_alias(move_of(wine, None, 1, alias="first"))
        store.delete_version(wine, 3)
        assert store.get_registered_model(wine).aliases == {"first": 1}
        assert store.get_registered_model(wine).latest_version == 2
        for call in (store.get_version, store.delete_version, store.update_version):
            with pytest.raises(NotFound):
                call(wine, 3)
        number = store.create_version(version(wine)).version
        store.move_alias(move_of(wine, None, number, kind=MoveKind.PROMOTE))

    def test_the_number_of_a_version_is_used_once(self, store: Registry, wine: str, version: Versions) -> None:
        store.delete_version(wine, 3)
        with pytest.raises(NotFound, match="the newest is 2"):
            store.get_version(wine, 3)
        assert store.create_version(version(wine)).version == 4

    def test_what_is_said_about_a_version_changes(self, store: Registry, wine: str) -> None:
        before = store.get_version(wine, 1)
        changed = store.update_version(wine, 1, description="better", stage="Production")
        assert (changed.description, changed.current_stage) == ("better", "Production")
        assert store.update_version(wine, 1, stage="Archived").description == "better"
        unchanged = {"last_updated_timestamp": 0, "description": "", "current_stage": "None"}
        assert replace(store.get_version(wine, 1), **unchanged) == replace(before, **unchanged)

    def test_a_stage_that_is_none_is_refused(self, store: Registry, wine: str) -> None:
        for bad in ("production", "Cellar", ""):
            with pytest.raises(InvalidInput, match="Staging, Production, Archived"):
                store.update_version(wine, 1, stage=bad)
        assert store.update_version(wine, 1, stage="None").current_stage == "None"


class RegistrySearchRules(Registered):
    """A search finds what fulfils its filter, in the order that it names."""

    def test_models_are_searched(self, store: Registry) -> None:
        for name, tags in (("pear", {"a": "1"}), ("apple", {}), ("fig", {"a": "2"})):
            store.create_registered_model(name, tags=tags)
        for asked, order, wanted in (
            ("", (), ["apple", "fig", "pear"]),
            ("name LIKE '%p%'", ("name DESC",), ["pear", "apple"]),
            ("name ILIKE 'FIG'", (), ["fig"]),
            ("name = 'pear' AND tags.a = '1'", (), ["pear"]),
            ("name IN ('pear', 'quince')", (), ["pear"]),
            ("tags.`mlflow.prompt.is_prompt` != 'true' AND name LIKE 'p%'", (), ["pear"]),
        ):
            query = Query(filter=asked, order_by=order)
            assert [model.name for model in walk(store.search_registered_models, 1, query=query)] == wanted
        newest = store.search_registered_models(Query(order_by=("last_updated_timestamp DESC",), limit=1)).items[0]
        assert newest.last_updated_timestamp == max(
            model.last_updated_timestamp for model in store.search_registered_models().items
        )
        with pytest.raises(InvalidInput, match="no attribute 'run_id'"):
            store.search_registered_models(Query(filter="run_id = 'x'"))

    @beyond(Limit.TIMES_OF_NAMES)
    def test_models_are_searched_by_their_times(self, store: Registry, wine: str) -> None:
        assert [model.name for model in store.search_registered_models(Query(filter="creation_timestamp > 0")).items]

    @within(Limit.TIMES_OF_NAMES)
    def test_a_search_of_models_by_their_times_is_refused(self, store: Registry, wine: str) -> None:
        with pytest.raises(InvalidInput, match="creation_timestamp"):
            store.search_registered_models(Query(filter="creation_timestamp > 0"))

    @beyond(Limit.PROMPTS)
    def test_prompts_are_names_like_others(self, store: Registry) -> None:
        store.create_registered_model("fig", tags={"mlflow.prompt.is_prompt": "true"})
        store.create_registered_model("pear")
        assert [model.name for model in store.search_registered_models().items] == ["fig", "pear"]
        asked = Query(filter="tags.`mlflow.prompt.is_prompt` != 'true'")  # as MLflow's client asks
        assert [model.name for model in store.search_registered_models(asked).items] == ["pear"]

    @within(Limit.PROMPTS)
    def test_prompts_are_not_listed(self, store: Registry) -> None:
        store.create_registered_model("fig", tags={"mlflow.prompt.is_prompt": "true"})
        assert store.search_registered_models().items == ()
        assert store.get_registered_model("fig").name == "fig"

    def test_versions_are_searched(self, store: Registry, wine: str, version: Versions) -> None:
        store.create_registered_model("beer")
        store.create_version(version("beer", tags={"a": "1"}))
        store.update_version(wine, 3, tags={"a": "2"})
        store.move_alias(move_of(wine, None, 2))
        for asked, order, wanted in (
            ("name = 'wine'", (), [("wine", 3), ("wine", 2), ("wine", 1)]),
            ("name = 'wine' AND version_number < 3", ("version_number ASC",), [("wine", 1), ("wine", 2)]),
            ("name IN ('beer', 'wine') AND version_number = 1", ("name",), [("beer", 1), ("wine", 1)]),
            ("source_path LIKE 'models:%' AND name LIKE 'b%'", (), [("beer", 1)]),
            ("tags.a = '1'", (), [("beer", 1)]),
            ("tags.a != '1' AND version_number > 2", (), [("wine", 3)]),
        ):
            found = walk(store.search_versions, 1, query=Query(filter=asked, order_by=order))
            assert [(each.name, each.version) for each in found] == wanted
        (held,) = store.search_versions(Query(filter="name = 'wine' AND version = 2")).items
        assert held == store.get_version(wine, 2)
        assert held.aliases == ("champion",)

    @beyond(Limit.SOURCES)
    def test_versions_are_searched_by_their_run_and_source(self, store: Registry, wine: str, version: Versions) -> None:
        store.create_registered_model("beer")
        store.create_version(version("beer", run_id="a" * 32, source="s3://b/model"))
        for asked, wanted in ((f"run_id = '{'a' * 32}'", "beer"), ("source_path LIKE 's3:%'", "beer")):
            assert [each.name for each in store.search_versions(Query(filter=asked)).items] == [wanted]
        asked = f"run_id != '{'a' * 32}' AND version_number = 1"
        assert [each.name for each in store.search_versions(Query(filter=asked)).items] == [wine]
