from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = """
from ratoon.hookspecs import hookimpl
from ratoon.models.mlmodel import data_file

class Doubler:
    def __init__(self, factor):
        self.factor = factor

    def predict(self, data):
        return data * self.factor

class DoublerFlavor:
    requirements = ("numpy",)

    def recognises(self, model):
        return isinstance(model, Doubler)

    def save(self, model, folder):
        (folder / "factor.txt").write_text(str(model.factor))
        return {"data": "factor.txt"}

    def load(self, folder, config, policy):
        from ratoon.errors import Corrupt

        try:
            return Doubler(LOADED)
        except ValueError as error:
            raise Corrupt("file 'factor.txt' holds no number; save the model again") from error

    def predict(self, model, data, params=None):
        return model.predict(data)

    def example_from(self, model, candidates):
        return next((each for each in candidates if getattr(each, "ndim", 0) == 2 and hasattr(each, "dtype")), None)

@hookimpl
def register_flavors(register):
    register("doubler", DoublerFlavor())
"""
TESTS = """
import numpy as np
import pytest
from doubler import Doubler
from ratoon.testing import FlavorContract

class TestDoubler(FlavorContract):
    flavor_name = "doubler"
    library = "numpy"
    plugins = ("doubler",)

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        return Doubler(2.5)

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls):
        return np.arange(12.0).reshape(6, 2)
"""
# The plugin is no distribution, so no environment with nothing but its requirements can hold it.
CHOSEN = ("-k", "not environment_with_nothing")
COMMAND = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CHOSEN, "test_doubler.py")


def run(folder: Path, loaded: str, tests: str = TESTS) -> str:
    (folder / "doubler.py").write_text(PLUGIN.replace("LOADED", loaded))
    (folder / "test_doubler.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    return done.stdout


@pytest.mark.slow
def test_a_flavor_that_is_not_installed_can_be_tested(tmp_path: Path) -> None:
    printed = run(tmp_path, "float(data_file(folder, config['data']).read_text())")
    assert "failed" not in printed and "error" not in printed and "passed" in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loaded", "rule"),
    [
        ("2.0", "test_a_loaded_model_predicts_the_same"),
        ("float((folder / config['data']).read_text())", "test_a_file_outside_of_the_folder_is_not_read"),
        ("__import__('pickle').loads((folder / 'factor.txt').read_bytes())", "test_a_pickle_in_place_of_the_data"),
    ],
)
def test_a_broken_rule_is_named(loaded: str, rule: str, tmp_path: Path) -> None:
    assert rule in run(tmp_path, loaded)


def test_a_contract_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    printed = run(tmp_path, "2.5", TESTS.partition("    @pytest.fixture")[0])
    assert "give the class a fixture 'model' of scope 'class'" in printed
