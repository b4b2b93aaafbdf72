"""What a model flavor must do, as tests. See :mod:`ratoon.models.flavor` for the documented behaviour.

numpy and pandas, which every signature needs, are imported on use; the library itself is imported by the subclass.
"""

from __future__ import annotations

import logging
import re
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pluggy
import pytest

from ratoon.errors import Corrupt, InvalidInput, RatoonError, Untrusted
from ratoon.models.digests import MANIFEST, verify_manifest, write_manifest
from ratoon.models.flavors import flavor_of, registered_flavors
from ratoon.models.loading import load_folder
from ratoon.models.mlmodel import read_mlmodel
from ratoon.models.saving import save_model
from ratoon.models.signature import Signature
from ratoon.models.trust import save_pickle
from ratoon.testing._flavored import DESCRIPTIONS, EXAMPLES, Flavored, data_files, files_of
from ratoon.testing._fresh import fresh_environment, predict_in, run_in_this_interpreter

_IMPORTS_NOTHING = """
import importlib, sys
from ratoon.manager import make_manager
from ratoon.models.flavors import registered_flavors
library, *plugins = sys.argv[1:]
manager = make_manager([importlib.import_module(name) for name in plugins])
answers = [flavor.recognises(object()) for flavor in registered_flavors(manager).values()]
assert answers and not any(answers), answers
assert library not in sys.modules, f"{library} was imported"
"""


class _Marker:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "the pickle ran")


class _SavingRules(Flavored):
    def test_the_flavor_recognises_the_model_before_any_other(self, model: Any, manager: pluggy.PluginManager) -> None:
        assert flavor_of(model, manager)[0] == self.flavor_name

    def test_the_flavor_recognises_nothing_else(self, manager: pluggy.PluginManager) -> None:
        flavor = registered_flavors(manager)[self.flavor_name]
        for other in (None, 3, "text", [1.0], {"a": 1}, object(), object, len):
            assert not flavor.recognises(other)

    def test_recognising_does_not_import_the_library(self, tmp_path: Path) -> None:
        run_in_this_interpreter(_IMPORTS_NOTHING, self.library, *self.plugins, cwd=tmp_path)

    def test_the_folder_is_complete(self, saved: Path) -> None:
        names = {path.name for path in saved.iterdir()}
        assert names.issuperset((*DESCRIPTIONS, *EXAMPLES, MANIFEST))
        assert verify_manifest(saved)
        info = read_mlmodel(saved)
        assert self.flavor_name in info.flavors
        assert sum(path.stat().st_size for path in data_files(saved)) == info.model_size_bytes

    def test_the_signature_has_inputs_and_outputs(self, saved: Path) -> None:
        signature = Signature.from_mlflow(read_mlmodel(saved).signature or {})
        assert signature.inputs and signature.outputs

    def test_the_library_is_pinned(self, saved: Path) -> None:
        pins = (saved / "requirements.txt").read_text().splitlines()
        distribution = self.distribution or self.library
        assert f"{distribution}=={version(distribution).partition('+')[0]}" in pins
        # A local label names a build that no index has; a bare name or a path says nothing about what was tried.
        assert [pin for pin in pins if "==" not in pin or "+" in pin or " @ " in pin] == []
        assert [pin for pin in pins if pin.partition("==")[0] in ("pytest", "mlflow", "pip", "setuptools")] == []

    def test_a_folder_in_use_is_refused_and_left_alone(
        self, model: Any, saved: Path, manager: pluggy.PluginManager
    ) -> None:
        with pytest.raises(InvalidInput, match="cannot hold a model"):
            save_model(model, saved, manager=manager)
        assert verify_manifest(saved)

    def test_who_saves_a_model_that_needs_trust_is_told(
        self, model: Any, manager: pluggy.PluginManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, logger="ratoon"):
            save_model(model, tmp_path / "model", manager=manager)
        warned = [record.getMessage() for record in caplog.records if "trust=" in record.getMessage()]
        assert bool(warned) == (self.trust is not None), warned

    def test_the_features_are_found_among_what_a_training_got(
        self, model: Any, data: Any, manager: pluggy.PluginManager
    ) -> None:
        flavor = registered_flavors(manager)[self.flavor_name]
        found = flavor.example_from(model, [*_decoys(), data])
        assert found is data or (found is None and not self.finds_example)
        assert flavor.example_from(model, _decoys()) is None


class _LoadingRules(Flavored):
    def test_a_loaded_model_predicts_the_same(
        self, model: Any, data: Any, saved: Path, manager: pluggy.PluginManager
    ) -> None:
        loaded = self.load(saved, manager)
        assert (loaded.flavor_name, loaded.verified) == (self.flavor_name, True)
        assert loaded.signature is not None
        self.assert_same(loaded.predict(data), self.expected(model, data, manager))

    def test_a_fresh_process_predicts_the_same(
        self, model: Any, data: Any, saved: Path, manager: pluggy.PluginManager, tmp_path: Path
    ) -> None:
        actual = predict_in(None, saved, data, trust=self.trust, plugins=self.plugins, workspace=tmp_path)
        self.assert_same(actual, self.expected(model, data, manager))

    def test_an_environment_with_nothing_but_the_requirements_predicts_the_same(
        self, model: Any, data: Any, saved: Path, manager: pluggy.PluginManager, tmp_path: Path
    ) -> None:
        python = fresh_environment(saved / "requirements.txt", self.ratoon_source)
        actual = predict_in(python, saved, data, trust=self.trust, plugins=self.plugins, workspace=tmp_path)
        self.assert_same(actual, self.expected(model, data, manager))

    def test_a_model_that_was_loaded_can_be_saved_again(
        self, model: Any, data: Any, saved: Path, manager: pluggy.PluginManager, tmp_path: Path
    ) -> None:
        native = self.load(saved, manager).native
        save_model(native, tmp_path / "again", manager=manager, input_example=data)
        loaded = self.load(tmp_path / "again", manager)
        self.assert_same(loaded.predict(data), self.expected(model, data, manager))


class _TrustRules(Flavored):
    def test_a_changed_byte_in_any_file_is_refused_with_its_name(
        self, copy: Path, manager: pluggy.PluginManager
    ) -> None:
        for path in files_of(copy):
            content = path.read_bytes()
            changed = bytearray(content or b" ")
            changed[len(content) // 2] ^= 1
            path.write_bytes(changed)
            with pytest.raises(Corrupt, match=path.name):
                load_folder(copy, manager=manager, trust="code")
            path.write_bytes(content)
        self.load(copy, manager)

    def test_a_model_that_needs_trust_is_refused_without(self, saved: Path, manager: pluggy.PluginManager) -> None:
        if self.trust is None:
            load_folder(saved, manager=manager)
        else:
            with pytest.raises(Untrusted, match="trust"):
                load_folder(saved, manager=manager)

    def test_a_pickle_in_place_of_the_data_does_not_run(
        self, copy: Path, manager: pluggy.PluginManager, tmp_path: Path
    ) -> None:
        marker = _Marker(tmp_path / "ran.txt")
        for path in data_files(copy):
            save_pickle(marker, path)
        write_manifest(copy)
        with pytest.raises(RatoonError):
            load_folder(copy, manager=manager)
        assert not marker.path.exists()

    def test_a_file_outside_of_the_folder_is_not_read(self, copy: Path, manager: pluggy.PluginManager) -> None:
        outside = shutil.copytree(copy, copy.parent / "outside")
        text = (copy / "MLmodel").read_text()
        names = {re.escape(path.relative_to(copy).parts[0]) for path in data_files(copy)}
        for prefix in ("../outside/", f"{outside}/"):
            changed = re.sub(f": ({'|'.join(names)})(?=[/\\n])", f": {prefix}\\1", text)
            (copy / "MLmodel").write_text(changed)
            write_manifest(copy)
            if changed != text:
                with pytest.raises(RatoonError):
                    self.load(copy, manager)


class FlavorContract(_SavingRules, _LoadingRules, _TrustRules):
    """Every rule for flavors; subclass it, say which flavor it is, and give it a model and data to predict on.

    ::

        class TestMine(FlavorContract):
            flavor_name = "mine"
            library = "mine"

            @pytest.fixture(scope="class")
            @classmethod
            def model(cls):
                return mine.fit(...)

            @pytest.fixture(scope="class")
            @classmethod
            def data(cls):
                return pd.DataFrame(...)

    Attributes:
        flavor_name: The name under which the flavor is registered.
        library: The package that must not be imported before a model of it is seen.
        distribution: What is pinned, where it has another name than the package.
        trust: What loading this very model needs: None, ``"code"`` or names of types.
        tolerance: How far predictions may differ, absolute and relative; 0 means not at all.
        finds_example: Whether the flavor can tell the model's features from other data.
        plugins: Dotted names of modules with hook implementations, for a plugin that is not installed.
        ratoon_source: What is installed as ratoon, and whatever else the model needs of your own, in a fresh
            environment: a folder, or a requirement; ratoon as it is installed here if None.

    The fixtures ``model`` and ``data`` have the scope "class" or a wider one, because a model is fitted once for all
    rules; they are class methods, or functions of the module. One rule makes a virtual environment, which takes a
    while: ``-k "not environment_with_nothing"`` leaves it out.
    """


def _decoys() -> list[object]:
    """What a training gets beside its features."""
    import numpy as np
    import pandas as pd

    target = np.zeros(7)
    return [None, 3.0, "text", {"depth": 3}, target, pd.Series(target), pd.DataFrame({"unrelated": target})]
