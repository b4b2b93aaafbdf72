"""Looks into the compiled structures of a loaded estimator for indices that point outside their arrays.

scikit-learn follows the indices of trees without bounds checks, so a crafted file could crash the process or make it
read foreign memory at the first prediction. Children must lie behind their parent, which rules out cycles as well.
numpy is imported on use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ratoon.errors import Corrupt

_LEAF = -1
_ENSEMBLES = ("sklearn.ensemble._forest", "sklearn.ensemble._gb", "sklearn.ensemble._iforest")
_METRICS = ("EuclideanDistance64", "ManhattanDistance64")


def check_structures(model: object, path: Path) -> None:
    """Check every compiled tree that can be reached from the estimator.

    Raises:
        Corrupt: An index points outside; the message names the file and the kind of structure.
    """
    for thing in _reachable(model):
        name = type(thing).__name__
        if type(thing).__module__.partition(".")[0] != "sklearn":
            continue
        fits = {
            "Tree": _tree_fits,
            "TreePredictor": _predictor_fits,
            "KDTree": _neighbors_fit,
            "BallTree": _neighbors_fit,
        }.get(name, _owner_fits)
        if not fits(thing):
            raise Corrupt(
                f"skops file '{path}' holds a damaged {name} (indices point outside of its arrays); "
                "do not load it, fetch or save the model again"
            )


def _reachable(root: object) -> Iterator[Any]:
    """Every object that hangs on the root by attributes, containers and arrays of objects; each once."""
    import numpy as np

    seen: set[int] = set()
    waiting: list[Any] = [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, dict):
            waiting.extend(thing.values())
        elif isinstance(thing, list | tuple | set):
            waiting.extend(thing)
        elif isinstance(thing, np.ndarray):
            # Arrays of numbers, and of the bytes of strings, lead nowhere.
            waiting.extend(thing.ravel().tolist() if thing.dtype == object else ())
        elif not isinstance(thing, str | bytes | int | float | type | None):
            yield thing
            waiting.extend(getattr(thing, "__dict__", {}).values())


def _tree_fits(tree: Any) -> bool:
    import numpy as np

    count = int(tree.node_count)
    if not 0 < count <= int(tree.capacity):
        return False
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != _LEAF
    own = np.arange(count)[inner]
    return bool(
        ((left[inner] > own) & (left[inner] < count)).all()
        and ((right[inner] > own) & (right[inner] < count)).all()
        and ((feature[inner] >= 0) & (feature[inner] < tree.n_features)).all()
    )


def _predictor_fits(predictor: Any) -> bool:
    import numpy as np

    nodes, bitsets = predictor.nodes, predictor.raw_left_cat_bitsets
    count = len(nodes)
    if count == 0 or nodes.ndim != 1 or bitsets.ndim != 2 or bitsets.shape[1] != 8:
        return False
    inner = nodes["is_leaf"] == 0
    own = np.arange(count)[inner]
    left, right = nodes["left"][inner], nodes["right"][inner]
    by_category = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
    return bool(
        ((left > own) & (left < count)).all()
        and ((right > own) & (right < count)).all()
        and (nodes["feature_idx"][inner] >= 0).all()
        and (by_category < len(bitsets)).all()
    )


def _neighbors_fit(tree: Any) -> bool:
    import numpy as np

    data, indices, nodes, bounds, *numbers = tree.__getstate__()
    data, indices, nodes, bounds = (np.asarray(array) for array in (data, indices, nodes, bounds))
    samples, count = len(data), len(nodes)
    start, end = nodes["idx_start"], nodes["idx_end"]
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    return bool(
        count == numbers[2]
        and bounds.shape[1:] == (count, data.shape[1])
        and len(bounds) == (2 if type(tree).__name__ == "KDTree" else 1)
        and type(numbers[-2]).__name__ in _METRICS
        and len(indices) == samples
        and ((indices >= 0) & (indices < samples)).all()
        and ((start >= 0) & (start <= end) & (end <= samples)).all()
        and (2 * inner + 2 < count).all()
    )


def _owner_fits(owner: Any) -> bool:
    """Whether the trees of an estimator look at no more features than it makes sure of itself."""
    width = getattr(owner, "n_features_in_", None)
    if width is None:
        return True
    held = vars(owner)
    tree = held.get("tree_")
    if tree is not None and getattr(tree, "n_features", width) != width:
        return False
    if "_predictors" in held:
        widest = [p.nodes["feature_idx"].max(initial=0) for stage in held["_predictors"] for p in stage]
        return all(feature < width for feature in widest)
    module = type(owner).__module__
    if module in _ENSEMBLES and "estimators_" in held:
        return _members_fit(owner, width)
    return True


def _members_fit(ensemble: Any, width: int) -> bool:
    """Forests hand their data to each member unchecked, and boosting writes into columns that it counts itself."""
    import numpy as np

    members = np.asarray(ensemble.estimators_, dtype=object)
    columns = getattr(ensemble, "n_trees_per_iteration_", None)
    if columns is not None:
        outputs = [(m.tree_.n_outputs, m.tree_.max_n_classes) for m in members.ravel()]
        if members.ndim != 2 or members.shape[1] != columns or set(outputs) != {(1, 1)}:
            return False
    # An isolation forest gives each member some of the features, all others give all.
    drawn = getattr(ensemble, "estimators_features_", None)
    widths = [width] * members.size if drawn is None else [len(features) for features in drawn]
    return len(widths) == members.size and all(
        member.tree_.n_features == wanted for member, wanted in zip(members.ravel(), widths, strict=True)
    )
