"""Figures: which are drawn, and that nothing of the process is touched by drawing them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from ratoon.evaluation.answers import Answers
from ratoon.evaluation.figures import MOST_CELLS, MOST_CURVES, figures_of
from ratoon.evaluation.labels import Labelled, label
from ratoon.evaluation.scores import Quantities

RUN = """
import sys
import numpy as np, pandas as pd
import ratoon
ratoon.set_tracking_uri("memory:")
frame = pd.DataFrame({"x": np.linspace(0, 1, 40)})
found = ratoon.evaluate(lambda data: data["x"].to_numpy(), frame, np.arange(40) % 2, figures=True)
assert "roc" in found.artifacts and "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules, "drawing went through pyplot"
"""


def labelled(classes: int, *, likely: bool = True) -> Labelled:
    generator = np.random.default_rng(0)
    truth = np.arange(100 * classes) % classes
    table = generator.dirichlet(np.ones(classes), len(truth)) if likely else None
    return label(truth, Answers(truth, range(classes), table), None, None, None)


def names(rows: Labelled | Quantities) -> set[str]:
    return {name for name, _ in figures_of(rows, "models:/wine/3")}


def test_which_figures_are_drawn() -> None:
    everything = {"confusion_matrix", "roc", "precision_recall", "calibration"}
    assert names(labelled(2)) == names(labelled(3)) == everything
    assert names(labelled(3, likely=False)) == {"confusion_matrix"}
    assert names(labelled(MOST_CURVES + 1)) == {"confusion_matrix", "calibration"}
    assert names(labelled(MOST_CELLS + 1, likely=False)) == set()
    numbers = np.arange(10_000.0)
    assert names(Quantities(numbers, numbers + 1, numbers)) == {"residuals"}


def test_a_confusion_matrix_has_a_row_for_each_class() -> None:
    for name, figure in figures_of(labelled(3), "models:/wine/3"):
        assert isinstance(figure, Figure)
        if name == "confusion_matrix":
            axes = figure.axes[0]
            assert [text.get_text() for text in axes.get_yticklabels()] == ["0", "1", "2"]
            assert [text.get_text() for text in axes.texts] == ["100", "0", "0", "0", "100", "0", "0", "0", "100"]


def test_labels_are_no_mathematics() -> None:
    truth = np.array(["$cheap^", "dear$", "$$"] * 5)
    rows = label(truth, Answers(truth), None, None, None)
    for _, figure in figures_of(rows, "wine"):
        figure.canvas.draw()


@pytest.mark.slow
def test_pyplot_is_not_touched(run_python: Callable[..., object]) -> None:
    run_python(RUN)
