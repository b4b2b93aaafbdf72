"""Whether one model is better than another beyond chance: a paired bootstrap over the rows that both predicted.

Rows are drawn with replacement as often as there are, the same rows for both models, and the gain is computed for each
such sample; a quantile of these gains is the bound of the confidence interval (B. Efron, R. Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 13). numpy is imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from ratoon.errors import InvalidInput
from ratoon.registry.predictions import Predictions

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

# So many numbers are drawn at once.
_BLOCK = 2_000_000
# Up to so many different pairs of losses are drawn by how often each occurs, which is much faster.
_FEW = 1000
_LEAST_PROBABILITY = 1e-15


class Gain(Struct, frozen=True, kw_only=True):
    """By how much the candidate is better.

    Attributes:
        candidate: The candidate's score, in the metric's own units.
        champion: The champion's.
        gain: How much better the candidate is: positive whichever way the metric points.
        bound: What the gain is larger than, with the confidence that was asked for.
        rows: How many rows both predicted.
    """

    candidate: float
    champion: float
    gain: float
    bound: float
    rows: int


class Drawing(NamedTuple):
    """How samples are drawn: how many, from which seed, and the confidence of the bound."""

    confidence: float
    resamples: int
    seed: int


class Score(NamedTuple):
    """A metric as a loss of each row.

    Attributes:
        losses: The loss of every row.
        of_mean: What the metric is, given the mean loss.
        loss_of: How bad a value of the metric is: what a gain is the difference of.
    """

    losses: Callable[[Predictions], Array]
    of_mean: Callable[[Any], Any]
    loss_of: Callable[[Any], Any]


def paired_gain(metric: str, candidate: Predictions, champion: Predictions, drawing: Drawing) -> Gain:
    """Compare two models on the rows that both predicted, which must be the same.

    Args:
        metric: One of ``SCORES``.
        candidate: What the candidate answered.
        champion: What the champion answered, in any order of rows.
        drawing: How to draw.

    Raises:
        InvalidInput: The rows or their targets differ, or the metric does not fit the predictions.
    """
    import numpy as np

    score = SCORES[metric]
    order = _aligned(candidate, champion)
    ours, theirs = score.losses(candidate), score.losses(champion)[order]
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise InvalidInput(f"{metric} of some rows is not a finite number; look for gaps in targets and predictions")
    draws = _draw(np.stack([ours, theirs], axis=1), drawing)
    values = score.loss_of(score.of_mean(draws))
    gains = values[:, 1] - values[:, 0]
    reached = score.of_mean(np.array([ours.mean(), theirs.mean()]))
    losses = score.loss_of(reached)
    return Gain(
        candidate=float(reached[0]),
        champion=float(reached[1]),
        gain=float(losses[1] - losses[0]),
        bound=float(np.quantile(gains, 1 - drawing.confidence)),
        rows=len(ours),
    )


def _aligned(candidate: Predictions, champion: Predictions) -> list[int]:
    """Where each row of the candidate stands among the champion's."""
    places = {row: place for place, row in enumerate(champion.rows)}
    if len(champion.rows) != len(candidate.rows) or any(row not in places for row in candidate.rows):
        raise InvalidInput("the two were evaluated on different rows; evaluate both on the same data")
    order = [places[row] for row in candidate.rows]
    if any(champion.targets[place] != target for place, target in zip(order, candidate.targets, strict=True)):
        raise InvalidInput("the targets of some rows differ; evaluate both on the same data")
    return order


def _draw(losses: Array, drawing: Drawing) -> Array:
    """The mean losses of both models in every sample."""
    import numpy as np

    generator = np.random.default_rng(drawing.seed)
    rows = len(losses)
    pairs, counts = np.unique(losses, axis=0, return_counts=True)
    if len(pairs) <= _FEW:
        drawn: Array = generator.multinomial(rows, counts / rows, size=drawing.resamples) @ pairs / rows
        return drawn
    at_once = max(1, _BLOCK // rows)
    means = []
    for start in range(0, drawing.resamples, at_once):
        size = (min(at_once, drawing.resamples - start), rows)
        means.append(losses[generator.integers(0, rows, size=size)].mean(axis=1))
    found: Array = np.concatenate(means)
    return found


def _misses(predictions: Predictions) -> Array:
    targets, said = _comparable(predictions.targets, predictions.predictions)
    found: Array = (targets != said).astype("float64")
    return found


def _comparable(targets: Sequence[str], said: Sequence[str]) -> tuple[Array, Array]:
    """As numbers if all of them are, so that 1 equals 1.0; else as they are written."""
    import numpy as np

    try:
        return np.array(targets, dtype="float64"), np.array(said, dtype="float64")
    except ValueError:
        return np.array(targets, dtype=object), np.array(said, dtype=object)


def _errors(predictions: Predictions) -> Array:
    targets, said = _comparable(predictions.targets, predictions.predictions)
    if targets.dtype == object:
        raise InvalidInput("targets or predictions are no numbers; choose a metric for classes")
    found: Array = targets - said
    return found


def _absolute(predictions: Predictions) -> Array:
    found: Array = abs(_errors(predictions))
    return found


def _squared(predictions: Predictions) -> Array:
    found: Array = _errors(predictions) ** 2
    return found


def _surprise(predictions: Predictions) -> Array:
    """The logarithm of how unlikely the model found what is true."""
    import numpy as np

    places = {name: place for place, name in enumerate(predictions.probabilities)}
    unknown = sorted(set(predictions.targets) - places.keys())
    if unknown:
        raise InvalidInput(f"there is no probability of class {unknown[0]!r}; store the probability of each class")
    table = np.array(list(predictions.probabilities.values()), dtype="float64")
    chosen = np.array([places[target] for target in predictions.targets])
    found: Array = -np.log(np.clip(table[chosen, np.arange(len(chosen))], _LEAST_PROBABILITY, 1))
    return found


def _same(value: Any) -> Any:
    return value


def _rest(value: Any) -> Any:
    return 1 - value


def _root(value: Any) -> Any:
    return value**0.5


# By scikit-learn's names.
SCORES: Mapping[str, Score] = {
    "accuracy": Score(_misses, _rest, _rest),
    "log_loss": Score(_surprise, _same, _same),
    "mean_absolute_error": Score(_absolute, _same, _same),
    "mean_squared_error": Score(_squared, _same, _same),
    "root_mean_squared_error": Score(_squared, _root, _same),
}
