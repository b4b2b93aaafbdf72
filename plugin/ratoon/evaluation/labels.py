"""Classes as numbers: which there are, which of them is true of each row, and which the model chose.

numpy and pandas are imported on use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ratoon.errors import InvalidInput
from ratoon.evaluation.answers import Answers
from ratoon.evaluation.values import Task
from ratoon.registry.predictions import as_text

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

# Targets with more classes than this are numbers.
MOST_CLASSES = 1000

_ONE = 0.01  # by how much probabilities may miss 1 in sum


class Labelled(NamedTuple):
    """Rows with classes, each class as its position in ``names``.

    Attributes:
        names: The classes as they are written, in order.
        truth: The class that is true of each row.
        said: The class that the model chose.
        probabilities: How likely the model found each class, a column for each; None if it cannot tell.
        scores: How far the model leans to the positive class; None if it cannot tell, or none is positive.
        positive: The positive class of two; None if there are more.
        weights: How much each row counts; None if all count the same.
        notes: What a reader of the metrics should know.
    """

    names: tuple[str, ...]
    truth: Array
    said: Array
    probabilities: Array | None
    scores: Array | None
    positive: int | None
    weights: Array | None
    notes: tuple[str, ...] = ()

    def take(self, rows: Array) -> Labelled:
        """Some of the rows."""
        return self._replace(
            truth=self.truth[rows],
            said=self.said[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
            scores=None if self.scores is None else self.scores[rows],
            weights=None if self.weights is None else self.weights[rows],
        )


def label(targets: Array, answers: Answers, task: Task | None, pos_label: Any, weights: Array | None) -> Labelled:
    """Tell classes apart and number them.

    Args:
        targets: What is true.
        answers: What the model said.
        task: Whether there are two classes or more; whatever there are if None.
        pos_label: The positive class, as it is or as it is written; the last of two if None.
        weights: How much each row counts.

    Raises:
        InvalidInput: There is one class only, or more than the task has, the positive one is not among them, or the
            model answers with something that is no class.
    """
    import numpy as np

    truth = _plain(targets)
    if len(set(truth)) < 2:
        raise InvalidInput(f"targets hold the class {as_text(truth[0])!r} only; evaluate on data with at least two")
    said, classes, probabilities = _chosen(truth, answers, pos_label)
    names = _ordered([*dict.fromkeys(truth), *(classes or ()), *dict.fromkeys(said)])
    _check_kinds(truth, said)
    if task == Task.BINARY and len(names) > 2:
        shown = ", ".join(repr(as_text(each)) for each in names[:10])
        raise InvalidInput(f"task is binary and there are {len(names)} classes ({shown}); leave task out")
    places = {name: place for place, name in enumerate(names)}
    positive = None if task == Task.MULTICLASS or len(names) > 2 else _positive(names, pos_label)
    table = None if probabilities is None else _spread(probabilities, [places[each] for each in classes or ()], names)
    return Labelled(
        names=tuple(map(as_text, names)),
        truth=np.array([places[each] for each in truth]),
        said=np.array([places[each] for each in said]),
        probabilities=table,
        scores=None if positive is None else _scores(table, answers, positive),
        positive=positive,
        weights=weights,
        notes=tuple(_notes(truth, classes, names, positive if pos_label is None else None)),
    )


def are_probabilities(values: Array) -> bool:
    """Whether numbers lie between 0 and 1, and not all at the ends."""
    if values.dtype.kind != "f" or not ((values >= 0) & (values <= 1)).all():
        return False
    return bool((values % 1 != 0).any())


def _chosen(truth: list[Any], answers: Answers, pos_label: Any) -> tuple[list[Any], list[Any] | None, Array | None]:
    """The class that the model chose for each row, the classes that it knows, and how likely it found each."""
    import pandas as pd

    values = answers.values
    if pd.isna(values).any():
        raise InvalidInput("it answered nothing, or NaN, to some rows; evaluate a function that decides on a class")
    if values.ndim == 2:
        classes = _columns(values, answers.classes, truth)
        return [classes[place] for place in values.argmax(axis=1).tolist()], classes, values.astype("float64")
    if answers.probabilities is None and are_probabilities(values):
        if set(truth) <= {0, 1} or not set(truth) & set(values.tolist()):
            return _thresholded(values, truth, pos_label)
    known = None if answers.classes is None else list(answers.classes)
    return _plain(values), known, answers.probabilities


def _thresholded(values: Array, truth: list[Any], pos_label: Any) -> tuple[list[Any], list[Any], Array]:
    """The answers of a model that gives the probability of the positive one of two classes."""
    import numpy as np

    names = _ordered(truth)
    if len(names) != 2:
        raise InvalidInput(
            f"it answers with fractions and the targets have {len(names)} classes; evaluate a function that"
            " returns classes, or a probability for each, or give task='regression'"
        )
    positive = _positive(names, pos_label)
    classes = [names[1 - positive], names[positive]]
    likely = values.astype("float64")
    return (
        [classes[each] for each in (likely >= 0.5).astype(int).tolist()],
        classes,
        np.stack([1 - likely, likely], axis=1),
    )


def _columns(values: Array, classes: Sequence[Any] | None, truth: list[Any]) -> list[Any]:
    """The class that each column of a model's answers stands for."""
    import numpy as np

    width = values.shape[1]
    if values.dtype.kind not in "fiub" or (values < 0).any() or (np.abs(values.sum(axis=1) - 1) > _ONE).any():
        raise InvalidInput(
            f"it answers with {width} columns that are no probabilities of classes; evaluate a function that"
            " returns one class for each row"
        )
    found = _ordered(truth)
    if classes is not None and len(classes) == width:
        return list(classes)
    if all(isinstance(each, int) and 0 <= each < width for each in found):
        return list(range(width))
    if len(found) == width:
        return found
    raise InvalidInput(
        f"it answers with {width} columns and the targets have {len(found)} classes; evaluate a function that"
        " returns one class for each row"
    )


def _plain(values: Array) -> list[Any]:
    """Values as Python's own: 1 and 1.0 are one class, whichever library they are from."""
    found: list[Any] = values.tolist()
    return [each.item() if hasattr(each, "item") else each for each in found]


def _ordered(names: Iterable[Any]) -> list[Any]:
    found = list(dict.fromkeys(names))
    if len(found) > MOST_CLASSES:
        raise InvalidInput(
            f"there are {len(found)} classes (at most {MOST_CLASSES} are compared); give task='regression'"
        )
    try:
        return sorted(found)
    except TypeError:
        return sorted(found, key=as_text)


def _check_kinds(truth: list[Any], said: list[Any]) -> None:
    """Refuse to call every answer wrong because 1 is not ``"1"``."""
    texts = [{isinstance(each, str) for each in values} for values in (truth, said)]
    if not texts[0] & texts[1]:
        kinds = ["texts" if True in each else "numbers" for each in texts]
        raise InvalidInput(f"targets are {kinds[0]} and it answers with {kinds[1]}; convert the targets")


def _positive(names: list[Any], pos_label: Any) -> int:
    if pos_label is None:
        return len(names) - 1
    for place, name in enumerate(names):
        if name == pos_label or (isinstance(pos_label, str) and as_text(name) == pos_label):
            return place
    shown = " and ".join(repr(as_text(each)) for each in names)
    raise InvalidInput(f"pos_label {pos_label!r} is no class (there are {shown}); give one of these")


def _spread(probabilities: Array, places: list[int], names: list[Any]) -> Array:
    """A column for each class: the model gave no probability to those that it does not know."""
    import numpy as np

    table: Array = np.zeros((len(probabilities), len(names)))
    table[:, places] = probabilities
    return table


def _scores(table: Array | None, answers: Answers, positive: int) -> Array | None:
    if table is not None:
        return table[:, positive]
    if answers.scores is None:
        return None
    return answers.scores if positive == 1 else -answers.scores


def _notes(truth: list[Any], classes: list[Any] | None, names: list[Any], guessed: int | None) -> Iterable[str]:
    unseen = _ordered(set(truth) - set(classes)) if classes is not None else []
    if unseen:
        rows = sum(each in unseen for each in truth)
        shown = ", ".join(repr(as_text(each)) for each in unseen[:10])
        yield f"the model does not know the class {shown}, which {rows} of {len(truth)} rows have"
    if guessed is not None and isinstance(names[guessed], str):
        yield f"the positive class is {names[guessed]!r}, the last one; choose another with pos_label"
