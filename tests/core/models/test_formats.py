"""Models in every format that was ever released, as they were saved then: all of them must load for good."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ratoon.manager import make_manager
from ratoon.models.digests import verify_manifest
from ratoon.models.loading import load_folder
from ratoon.models.mlmodel import FORMAT, read_mlmodel

FORMATS = Path(__file__).parent / "formats"
ROWS = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})
# What the model said when it was saved.
PREDICTED = [1.78, 1.78, 2.36125]


def test_there_is_a_model_of_every_format() -> None:
    assert sorted(int(folder.name) for folder in FORMATS.iterdir()) == list(range(1, FORMAT + 1))


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_a_model_of_each_format_loads_and_predicts_what_it_did(number: int) -> None:
    folder = FORMATS / str(number)
    assert verify_manifest(folder) and (read_mlmodel(folder).ratoon or {})["format"] == number
    np.testing.assert_allclose(load_folder(folder, manager=make_manager()).predict(ROWS), PREDICTED, rtol=1e-6)
