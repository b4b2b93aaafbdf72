from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pluggy
import pytest

from ratoon.errors import InvalidInput, PluginError
from ratoon.hookspecs import hookimpl
from ratoon.manager import make_manager
from ratoon.models.flavors import flavor_of, registered_flavors
from ratoon.models.loading import load_folder
from ratoon.models.saving import save_model
from ratoon.models.trust import TrustPolicy

BUILTINS = ("ratoon.models.flavors.python_function", "ratoon.models.flavors.sklearn")


class Doubler:
    """A model of a library of its own."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def predict(self, data: Any) -> Any:
        return data * self.factor


class TextFlavor:
    requirements: tuple[str, ...] = ()

    def recognises(self, model: object) -> bool:
        return isinstance(model, Doubler)

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        (folder / "factor.txt").write_text(str(model.factor))
        return {"data": "factor.txt"}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        return Doubler(float((folder / config["data"]).read_text()))

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        return model.predict(data)

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        return None


class Plugin:
    def __init__(self, name: str) -> None:
        self.name = name

    @hookimpl
    def register_flavors(self, register: Any) -> None:
        register(self.name, TextFlavor())


def managed(*plugins: object) -> pluggy.PluginManager:
    return make_manager(plugins, builtins=BUILTINS, installed=False)


def test_a_users_flavor_is_asked_first_and_the_generic_one_last() -> None:
    assert list(registered_flavors(managed(Plugin("text")))) == ["text", "sklearn", "python_function"]


def test_flavors_are_asked_for_once() -> None:
    manager = managed()
    assert registered_flavors(manager)["sklearn"] is registered_flavors(manager)["sklearn"]


def test_a_plugin_that_comes_later_is_heard() -> None:
    manager = managed()
    registered_flavors(manager)
    manager.register(Plugin("text"))
    assert "text" in registered_flavors(manager)


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(PluginError, match="'sklearn' is registered in register_flavors by"):
        registered_flavors(managed(Plugin("sklearn")))


def test_a_plugins_flavor_saves_and_loads_without_trust(tmp_path: Path) -> None:
    manager = managed(Plugin("text"))
    save_model(Doubler(2.0), tmp_path / "model", manager=manager)
    loaded = load_folder(tmp_path / "model", manager=manager)
    assert (loaded.flavor_name, loaded.predict(21)) == ("text", 42.0)


def test_the_flavor_is_found(pipeline: Any) -> None:
    assert flavor_of(pipeline, managed())[0] == "sklearn"
    assert flavor_of(Doubler(2.0), managed())[0] == "python_function"
    assert flavor_of(Doubler(2.0), managed(Plugin("text")))[0] == "text"


@pytest.mark.parametrize("thing", [3, "text", None, [1], Doubler])
def test_what_is_no_model_is_refused(thing: object) -> None:
    with pytest.raises(InvalidInput, match="is no model .flavors asked: sklearn, python_function.; give an object"):
        flavor_of(thing, managed())
