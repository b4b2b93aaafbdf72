"""What a subclass of the flavor contract says about its flavor, and the fixtures that follow from it.

numpy and pandas are imported on use.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pluggy
import pytest

from ratoon.manager import make_manager
from ratoon.models.digests import MANIFEST
from ratoon.models.flavors import registered_flavors
from ratoon.models.loading import LoadedModel, load_folder
from ratoon.models.saving import save_model
from ratoon.models.trust import Trust

DESCRIPTIONS = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")
EXAMPLES = ("input_example.json", "serving_input_example.json")


class Flavored:
    """What a subclass says about its flavor, and the fixtures that follow from it."""

    flavor_name: ClassVar[str]
    library: ClassVar[str]
    distribution: ClassVar[str] = ""
    trust: ClassVar[Trust] = None
    tolerance: ClassVar[float] = 0.0
    finds_example: ClassVar[bool] = True
    plugins: ClassVar[tuple[str, ...]] = ()
    ratoon_source: ClassVar[str | Path | None] = None

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        """A fitted model; a new one, of scope "class" or wider, in each subclass."""
        raise NotImplementedError("give the class a fixture 'model' of scope 'class': a fitted model of the library")

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> Any:
        """What the model is called with: a DataFrame, an array or a dict of arrays; at least five rows."""
        raise NotImplementedError("give the class a fixture 'data' of scope 'class': what the model is called with")

    @pytest.fixture(scope="class")
    @classmethod
    def manager(cls) -> pluggy.PluginManager:
        """Every flavor that is built in or installed, and those of ``plugins``."""
        return make_manager([importlib.import_module(name) for name in cls.plugins])

    @pytest.fixture(scope="class")
    @classmethod
    def saved(
        cls, model: Any, data: Any, manager: pluggy.PluginManager, tmp_path_factory: pytest.TempPathFactory
    ) -> Path:
        """The model's folder; no test changes it."""
        folder = tmp_path_factory.mktemp(cls.flavor_name) / "model"
        save_model(model, folder, manager=manager, input_example=data)
        return folder

    @pytest.fixture
    def copy(self, saved: Path, tmp_path: Path) -> Path:
        """A copy of the model's folder, for a test that changes it."""
        return Path(shutil.copytree(saved, tmp_path / "copy"))

    def expected(self, model: Any, data: Any, manager: pluggy.PluginManager) -> Any:
        """What the saved model must predict; override it to ask the library in its own words."""
        return registered_flavors(manager)[self.flavor_name].predict(model, data)

    def assert_same(self, actual: Any, expected: Any) -> None:
        """Compare predictions; numbers within ``tolerance``, absolute and relative, everything else exactly."""
        import numpy as np
        import pandas as pd

        assert type(actual) is type(expected)
        if isinstance(expected, pd.DataFrame):
            assert list(actual.columns) == list(expected.columns)
        if isinstance(expected, pd.DataFrame | Mapping):
            assert set(actual) == set(expected)
            for name in expected:
                self.assert_same(np.asarray(actual[name]), np.asarray(expected[name]))
            return
        actual, expected = np.asarray(actual), np.asarray(expected)
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
        if expected.dtype.kind in "fc" and self.tolerance:
            np.testing.assert_allclose(actual, expected, rtol=self.tolerance, atol=self.tolerance)
        else:
            np.testing.assert_array_equal(actual, expected)

    def load(self, folder: Path, manager: pluggy.PluginManager) -> LoadedModel:
        """Load with the trust that the model needs."""
        return load_folder(folder, manager=manager, trust=self.trust)


def files_of(folder: Path) -> Iterator[Path]:
    """Every file but the digests themselves."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / MANIFEST)


def data_files(folder: Path) -> list[Path]:
    """What the flavor wrote."""
    written = {folder / name for name in (*DESCRIPTIONS, *EXAMPLES)}
    return [path for path in files_of(folder) if path not in written]
