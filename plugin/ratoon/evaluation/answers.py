"""Asking a model, and what it answered: classes, numbers, probabilities, in whatever form its library gives them.

numpy is imported on use.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ratoon.errors import InvalidInput, RatoonError
from ratoon.evaluation.subject import Subject

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

logger = logging.getLogger(__name__)


class Answers(NamedTuple):
    """What a model said to each row.

    Attributes:
        values: What its ``predict`` returned: a value for each row, or a column for each class.
        classes: The classes that the model knows, where it says so.
        probabilities: How likely it found each of them; None if it cannot tell.
        scores: How far it leans to the second of two classes, where it can tell that but no probability.
    """

    values: Array
    classes: Sequence[Any] | None = None
    probabilities: Array | None = None
    scores: Array | None = None


def ask(subject: Subject, data: Any, rows: int) -> Answers:
    """Call a model with data.

    Raises:
        InvalidInput: It fails, or its answers are not one for each row.
    """
    try:
        answered = subject.predict(data)
    except RatoonError:
        raise
    except Exception as error:  # a model is anybody's code
        raise InvalidInput(
            f"model '{subject.name}' cannot predict this data ({type(error).__name__}: {error}); give it the columns"
            " that it was trained with"
        ) from error
    values = _array(subject, answered)
    if len(values) != rows:
        raise InvalidInput(f"model '{subject.name}' answered {len(values)} times to {rows} rows; it must to each once")
    classes = getattr(subject.native, "classes_", None)
    known = None if classes is None else _known_classes(classes)
    if known is None:
        return Answers(values)
    probabilities = _call(subject, "predict_proba", data, (rows, len(known)))
    scores = None if probabilities is not None else _call(subject, "decision_function", data, (rows,))
    return Answers(values, known, probabilities, scores)


def _array(subject: Subject, answered: Any) -> Array:
    """An array of one axis, or of two if it has several columns."""
    import numpy as np

    if isinstance(answered, Mapping):
        if len(answered) != 1:
            raise InvalidInput(
                f"model '{subject.name}' answers with {', '.join(map(repr, answered))}; evaluate a function that"
                " returns one of them, lambda data: model.predict(data)['label'] for example"
            )
        answered = next(iter(answered.values()))
    if hasattr(answered, "detach"):  # a tensor with a gradient
        answered = answered.detach()
    found = answered.to_numpy() if hasattr(answered, "to_numpy") else np.asarray(answered)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim not in (1, 2):
        raise InvalidInput(
            f"model '{subject.name}' answers in the shape {found.shape}; evaluate a function that gives one value for"
            " each row, or a probability for each class"
        )
    return found


def _known_classes(classes: Any) -> list[Any] | None:
    """The classes, unless there are several lists of them, one for each output."""
    import numpy as np

    try:
        found = np.asarray(classes)
    except ValueError:
        return None
    return found.tolist() if found.ndim == 1 and len(found) > 1 else None


def _call(subject: Subject, method: str, data: Any, shape: tuple[int, ...]) -> Array | None:
    """What another method of the native object says, as numbers of this shape; None if it has none or that fails."""
    import numpy as np

    asked = getattr(subject.native, method, None)
    if asked is None:
        return None
    try:
        found: Array = np.asarray(asked(subject.prepare(data)), dtype="float64")
    except Exception as error:  # a model is anybody's code, and its predictions are worth evaluating all the same
        logger.warning("model '%s' has no %s for this data (%s)", subject.name, method, error)
        return None
    return found if found.shape == shape and np.isfinite(found).all() else None
