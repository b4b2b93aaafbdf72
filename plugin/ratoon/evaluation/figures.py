"""Figures of an evaluation, drawn on Matplotlib's figures themselves.

pyplot, and with it the backend and the figures of the process, is never touched: scikit-learn's displays need it and
are not used. Matplotlib, numpy and scikit-learn are imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ratoon.errors import MissingExtra
from ratoon.evaluation.labels import Labelled
from ratoon.evaluation.scores import Quantities

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

# More cells than this nobody can tell apart; more curves neither.
MOST_CELLS = 40
MOST_CURVES = 10
# So many points show where residuals lie.
MOST_POINTS = 5000
BINS = 10

_GUIDE = {"color": "0.6", "linestyle": "--", "linewidth": 1}


def figures_of(rows: Labelled | Quantities, title: str) -> Iterator[tuple[str, Any]]:
    """Each figure that can be drawn, after its name; it is cleared when the next one is asked for.

    Args:
        rows: What is true and what the model said.
        title: What people call the model.

    Raises:
        MissingExtra: Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("figures of an evaluation", "evaluation", "matplotlib") from error
    for name, draw in _drawings(rows):
        figure = Figure(figsize=(6.4, 4.8), layout="constrained")
        figure.suptitle(title, fontsize="medium")
        draw(figure)
        yield name, figure
        figure.clear()


def _drawings(rows: Labelled | Quantities) -> Iterator[tuple[str, Callable[[Any], None]]]:
    if isinstance(rows, Quantities):
        yield "residuals", lambda figure: _residuals(figure, rows)
        return
    if len(rows.names) <= MOST_CELLS:
        yield "confusion_matrix", lambda figure: _confusion(figure, rows)
    curves = _curves(rows)
    if curves:
        yield "roc", lambda figure: _roc(figure, curves, rows.weights)
        yield "precision_recall", lambda figure: _precision_recall(figure, curves, rows.weights)
    if rows.probabilities is not None:
        yield "calibration", lambda figure: _calibration(figure, rows)


def _curves(rows: Labelled) -> list[tuple[str, Array, Array]]:
    """What is true and how far the model leans to it, for each class that a curve can be drawn of."""
    if rows.positive is not None:
        if rows.scores is None:
            return []
        found = [(rows.names[rows.positive], rows.truth == rows.positive, rows.scores)]
    elif rows.probabilities is None or len(rows.names) > MOST_CURVES:
        return []
    else:
        found = [(name, rows.truth == each, rows.probabilities[:, each]) for each, name in enumerate(rows.names)]
    return [curve for curve in found if curve[1].any() and not curve[1].all()]


def _confusion(figure: Any, rows: Labelled) -> None:
    from sklearn.metrics import confusion_matrix

    count = len(rows.names)
    table = confusion_matrix(rows.truth, rows.said, labels=range(count), sample_weight=rows.weights)
    axes = figure.subplots()
    image = axes.imshow(table, cmap="Blues")
    figure.colorbar(image, ax=axes)
    axes.set(xlabel="predicted", ylabel="true", xticks=range(count), yticks=range(count))
    axes.set_xticklabels(map(_plain, rows.names), rotation=45, ha="right")
    axes.set_yticklabels(map(_plain, rows.names))
    middle = table.max() / 2
    for row, column in ((row, column) for row in range(count) for column in range(count) if count <= 20):
        cell = table[row, column]
        axes.text(column, row, f"{cell:.6g}", ha="center", va="center", color="white" if cell > middle else "black")


def _roc(figure: Any, curves: list[tuple[str, Array, Array]], weights: Array | None) -> None:
    from sklearn.metrics import roc_curve

    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], **_GUIDE)
    for name, truth, leaning in curves:
        wrongly, rightly, _ = roc_curve(truth, leaning, sample_weight=weights)
        axes.plot(wrongly, rightly, label=_plain(name))
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(title="class")


def _precision_recall(figure: Any, curves: list[tuple[str, Array, Array]], weights: Array | None) -> None:
    from sklearn.metrics import precision_recall_curve

    axes = figure.subplots()
    for name, truth, leaning in curves:
        precision, recall, _ = precision_recall_curve(truth, leaning, sample_weight=weights)
        axes.step(recall, precision, where="post", label=_plain(name))
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(title="class")


def _calibration(figure: Any, rows: Labelled) -> None:
    """How often what was given a probability is true; of more than two classes, that of the class that was chosen."""
    import numpy as np

    assert rows.probabilities is not None  # the caller looked
    if rows.positive is not None:
        likely, hit = rows.probabilities[:, rows.positive], rows.truth == rows.positive
        label = f"probability of {_plain(rows.names[rows.positive])}"
    else:
        likely, hit = rows.probabilities.max(axis=1), rows.truth == rows.probabilities.argmax(axis=1)
        label = "probability of the most likely class"
    weights = np.ones(len(likely)) if rows.weights is None else rows.weights
    bins = np.minimum((likely * BINS).astype(int), BINS - 1)
    total = np.bincount(bins, weights, BINS)
    filled = total > 0
    said = np.bincount(bins, weights * likely, BINS)[filled] / total[filled]
    true = np.bincount(bins, weights * hit, BINS)[filled] / total[filled]
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], **_GUIDE)
    above.plot(said, true, marker="o")
    above.set(ylabel="how often it is true", xlim=(0, 1), ylim=(0, 1.02))
    below.bar((np.arange(BINS) + 0.5) / BINS, total, width=0.9 / BINS, color="0.7")
    below.set(xlabel=label, ylabel="rows")


def _residuals(figure: Any, rows: Quantities) -> None:
    import numpy as np

    residuals, said = rows.truth - rows.said, rows.said
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    right.hist(residuals, bins=min(50, max(5, len(residuals) // 10)), weights=rows.weights, orientation="horizontal")
    right.set(xlabel="rows")
    if len(said) > MOST_POINTS:
        some = np.random.default_rng(0).choice(len(said), MOST_POINTS, replace=False)
        residuals, said = residuals[some], said[some]
    left.axhline(0, **_GUIDE)
    left.scatter(said, residuals, s=8, alpha=0.5)
    left.set(xlabel="predicted", ylabel="true less predicted")


def _plain(text: str) -> str:
    """A label as it is: Matplotlib reads dollars as mathematics."""
    return text.replace("$", r"\$")
