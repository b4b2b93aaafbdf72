"""Metrics, by scikit-learn's names of scorers without ``neg_``: only those that the rows and answers allow.

What is left out rather than given as a number that means nothing: the area under a curve where one class is missing,
recall where nothing is positive, a relative error where a target is 0. numpy and scikit-learn are imported on use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ratoon.errors import InvalidInput
from ratoon.evaluation.labels import Labelled

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

LOWER_IS_BETTER = frozenset(
    (
        "brier_score",
        "log_loss",
        "max_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_error",
        "median_absolute_error",
        "root_mean_squared_error",
    )
)

Found = Iterator[tuple[str, Any]]


class Quantities(NamedTuple):
    """Rows with quantities: what is true, what the model said, and how much each row counts."""

    truth: Array
    said: Array
    weights: Array | None

    def take(self, rows: Array) -> Quantities:
        """Some of the rows."""
        return Quantities(self.truth[rows], self.said[rows], None if self.weights is None else self.weights[rows])


def quantities(targets: Array, said: Array, weights: Array | None) -> Quantities:
    """Targets and answers as numbers.

    Raises:
        InvalidInput: Some are none, or not finite.
    """
    import numpy as np

    if said.ndim != 1:
        raise InvalidInput(f"it answers with {said.shape[1]} columns; evaluate a function that returns one quantity")
    found = []
    for what, values in (("targets", targets), ("answers of the model", said)):
        try:
            numbers = values.astype("float64")
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"{what} are no numbers; give task='binary' or task='multiclass' for classes") from error
        wrong = ~np.isfinite(numbers)
        if wrong.any():
            first = int(wrong.argmax())
            raise InvalidInput(
                f"{int(wrong.sum())} of {len(numbers)} {what} are NaN or infinite (the first in row {first}); leave"
                " those rows out"
            )
        found.append(numbers)
    return Quantities(found[0], found[1], weights)


def scores(part: Labelled | Quantities) -> Mapping[str, float]:
    """Every metric that can be computed for some rows; none if no row counts."""
    if not len(part.truth) or (part.weights is not None and not part.weights.any()):
        return {}
    found = _of_quantities(part) if isinstance(part, Quantities) else _of_classes(part)
    return {name: float(value) for name, value in found if math.isfinite(value)}


def _of_quantities(part: Quantities) -> Found:
    from sklearn import metrics

    rows, weighted = (part.truth, part.said), {"sample_weight": part.weights}
    yield "mean_absolute_error", metrics.mean_absolute_error(*rows, **weighted)
    yield "median_absolute_error", metrics.median_absolute_error(*rows, **weighted)
    yield "mean_squared_error", metrics.mean_squared_error(*rows, **weighted)
    yield "root_mean_squared_error", metrics.root_mean_squared_error(*rows, **weighted)
    yield "max_error", metrics.max_error(*rows)
    if (part.truth != part.truth[0]).any():
        yield "r2", metrics.r2_score(*rows, **weighted)
    if part.truth.all():
        yield "mean_absolute_percentage_error", metrics.mean_absolute_percentage_error(*rows, **weighted)


def _of_classes(part: Labelled) -> Found:
    from sklearn import metrics

    rows, weighted = (part.truth, part.said), {"sample_weight": part.weights}
    averaged = {"average": "macro", "zero_division": 0.0, **weighted}
    present = sorted(set(part.truth.tolist()))
    yield "accuracy", metrics.accuracy_score(*rows, **weighted)
    # The mean of the recalls: scikit-learn's own function warns of classes that are predicted and nowhere true.
    yield "balanced_accuracy", metrics.recall_score(*rows, labels=present, **averaged)
    yield "f1_macro", metrics.f1_score(*rows, **averaged)
    if len(present) > 1:
        yield "matthews_corrcoef", metrics.matthews_corrcoef(*rows, **weighted)
    if part.probabilities is not None:
        labels = range(len(part.names))
        yield "log_loss", metrics.log_loss(part.truth, _summing_to_one(part.probabilities), labels=labels, **weighted)
    yield from _of_two(part) if part.positive is not None else _of_many(part, present)


def _of_two(part: Labelled) -> Found:
    from sklearn import metrics

    truth, said = part.truth == part.positive, part.said == part.positive
    weighted = {"sample_weight": part.weights}
    if truth.any():
        for name in ("f1", "precision", "recall"):
            yield name, getattr(metrics, f"{name}_score")(truth, said, zero_division=0.0, **weighted)
    if part.probabilities is not None:
        yield "brier_score", metrics.brier_score_loss(truth, part.probabilities[:, part.positive], **weighted)
    if part.scores is not None and truth.any() and not truth.all() and _count(truth, part.weights):
        yield "roc_auc", metrics.roc_auc_score(truth, part.scores, **weighted)
        yield "average_precision", metrics.average_precision_score(truth, part.scores, **weighted)


def _of_many(part: Labelled, present: list[int]) -> Found:
    from sklearn import metrics

    weighted = {"sample_weight": part.weights}
    options = {"zero_division": 0.0, **weighted}
    yield "f1_weighted", metrics.f1_score(part.truth, part.said, average="weighted", **options)
    yield "precision_macro", metrics.precision_score(part.truth, part.said, average="macro", **options)
    yield "recall_macro", metrics.recall_score(part.truth, part.said, average="macro", **options)
    if part.probabilities is not None and len(present) == len(part.names):
        areas = [
            metrics.roc_auc_score(part.truth == each, part.probabilities[:, each], **weighted)
            for each in present
            if _count(part.truth == each, part.weights)
        ]
        if len(areas) == len(present):
            yield "roc_auc_ovr", sum(areas) / len(areas)


def _count(truth: Array, weights: Array | None) -> bool:
    """Whether rows of both kinds have a weight."""
    return weights is None or bool(weights[truth].any() and weights[~truth].any())


def _summing_to_one(probabilities: Array) -> Array:
    """Probabilities of 32 bits miss 1 in sum by more than scikit-learn takes."""
    sums = probabilities.sum(axis=1, keepdims=True)
    found: Array = probabilities / sums if (sums > 0).all() else probabilities
    return found
