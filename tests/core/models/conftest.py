from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pluggy
import pytest
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ratoon.manager import make_manager
from ratoon.models.saving import save_model

FLAVORS = ("ratoon.models.flavors.python_function", "ratoon.models.flavors.sklearn")


@pytest.fixture(scope="session")
def manager() -> pluggy.PluginManager:
    return make_manager(builtins=FLAVORS, installed=False)


@pytest.fixture(scope="session")
def wine() -> tuple[pd.DataFrame, pd.Series]:
    features, target = load_wine(return_X_y=True, as_frame=True)
    return features, target


@pytest.fixture(scope="session")
def pipeline(wine: tuple[pd.DataFrame, pd.Series]) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(*wine)


@pytest.fixture
def saved(pipeline: Pipeline, wine: Any, tmp_path: Path, manager: pluggy.PluginManager) -> Path:
    """A folder with a saved pipeline."""
    folder = tmp_path / "model"
    save_model(pipeline, folder, manager=manager, input_example=wine[0])
    return folder


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.write_text, (self.path, "the pickle ran")


@pytest.fixture
def canary(tmp_path: Path) -> Canary:
    return Canary(tmp_path / "canary.txt")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the rules of the contract that make a virtual environment."""
    for item in items:
        if "environment_with_nothing" in item.name:
            item.add_marker(pytest.mark.slow)
