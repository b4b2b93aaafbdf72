"""What a model is asked for, as far as it can be told from the model, the targets and its answers.

numpy and scikit-learn are imported on use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput
from ratoon.evaluation.answers import Answers
from ratoon.evaluation.labels import are_probabilities
from ratoon.evaluation.values import Task

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

# Whole numbers with more different values than this are counts, not classes, where nothing else tells.
MOST_CLASSES = 20


def task_named(task: str | None) -> Task | None:
    """The task of a name; InvalidInput if there is none."""
    try:
        return None if task is None else Task(task)
    except ValueError:
        raise InvalidInput(f"task {task!r} is unknown; give one of {', '.join(Task)}") from None


def is_regression(native: Any, targets: Array, answers: Answers) -> bool:
    """Whether the model predicts quantities; else it predicts classes."""
    said = _said_by(native)
    if said is not None:
        return said
    if answers.classes is not None or targets.dtype.kind not in "iuf" or answers.values.dtype.kind not in "iuf":
        return False
    if _has_fractions(targets):
        return True
    if answers.values.ndim == 2:
        return False
    return _is_quantity(targets, answers.values)


def _is_quantity(targets: Array, values: Array) -> bool:
    """Whether whole numbers are quantities, by how many there are and by what the model answers."""
    import numpy as np

    different = np.unique(targets)
    if _has_fractions(values):
        return not (are_probabilities(values) and len(different) == 2)
    return len(different) > MOST_CLASSES


def _has_fractions(values: Array) -> bool:
    import numpy as np

    finite = values[np.isfinite(values)]
    return bool((np.trunc(finite) != finite).any())


def _said_by(native: Any) -> bool | None:
    """What an estimator says of itself; None if it is none, or neither."""
    from sklearn.base import is_classifier, is_regressor

    if not hasattr(native, "__sklearn_tags__") and not hasattr(native, "_estimator_type"):
        return None
    try:
        return True if is_regressor(native) else False if is_classifier(native) else None
    except (AttributeError, TypeError):  # not quite one
        return None
