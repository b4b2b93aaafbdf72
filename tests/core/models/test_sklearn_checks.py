"""Crafted trees are refused after loading: followed, their indices would leave the arrays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from ratoon.errors import Corrupt
from ratoon.models.flavors.sklearn import SklearnFlavor
from ratoon.models.flavors.sklearn_checks import check_structures
from ratoon.models.trust import policy_from

SKOPS = {"pickled_model": "model.skops", "serialization_format": "skops"}


def reload(model: Any, folder: Path) -> Any:
    """Through the file, as an attacker's would come."""
    skops.io.dump(model, folder / "model.skops")
    return SklearnFlavor().load(folder, SKOPS, policy_from(None))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("left_child", 10**6),
        ("left_child", -7),
        ("left_child", 0),
        ("right_child", 10**6),
        ("feature", 99),
        ("feature", -5),
    ],
)
def test_a_tree_with_an_index_outside_is_refused(field: str, value: int, wine: Any, tmp_path: Path) -> None:
    model = RandomForestClassifier(3, random_state=0).fit(*wine)
    tree = model.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    with pytest.raises(Corrupt, match=r"model\.skops' holds a damaged Tree"):
        reload(model, tmp_path)


@pytest.mark.parametrize("count", [0, 10**6])
def test_a_tree_that_lies_about_its_size_is_refused(count: int, wine: Any, tmp_path: Path) -> None:
    model = DecisionTreeClassifier().fit(*wine)
    state = model.tree_.__getstate__() | {"node_count": count}
    model.tree_.__setstate__(state)
    with pytest.raises(Corrupt, match="damaged Tree"):
        check_structures(model, tmp_path / "model.skops")


@pytest.mark.parametrize(
    ("field", "value"), [("left", 10**6), ("right", 0), ("feature_idx", 99), ("feature_idx", -1), ("is_categorical", 1)]
)
def test_a_predictor_with_an_index_outside_is_refused(field: str, value: int, wine: Any, tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=3).fit(*wine)
    model._predictors[1][2].nodes[field][0] = value
    with pytest.raises(Corrupt, match="damaged (TreePredictor|HistGradientBoostingClassifier)"):
        reload(model, tmp_path)


def break_index(state: list[Any]) -> None:
    state[1] = np.full_like(np.asarray(state[1]), 10**6)


def break_nodes(state: list[Any]) -> None:
    state[2] = np.array(state[2])
    state[2]["idx_end"] = 10**6


def break_depth(state: list[Any]) -> None:
    state[2] = np.array(state[2])
    state[2]["is_leaf"] = 0


def break_bounds(state: list[Any]) -> None:
    state[3] = np.asarray(state[3])[:, :, :2].copy()


@pytest.mark.parametrize("breaking", [break_index, break_nodes, break_depth, break_bounds])
@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
def test_a_neighbour_tree_with_an_index_outside_is_refused(
    algorithm: str, breaking: Callable[[list[Any]], None], wine: Any, tmp_path: Path
) -> None:
    model = KNeighborsClassifier(algorithm=algorithm).fit(*wine)
    state = list(model._tree.__getstate__())
    breaking(state)
    model._tree.__setstate__(tuple(state))
    with pytest.raises(Corrupt, match="damaged (KDTree|BallTree)"):
        reload(model, tmp_path)


@pytest.mark.parametrize("kind", [RandomForestClassifier, GradientBoostingClassifier, DecisionTreeClassifier])
def test_trees_that_look_at_more_features_than_their_owner_checks_are_refused(
    kind: Any, wine: Any, tmp_path: Path
) -> None:
    features, target = wine
    model = kind().fit(features.to_numpy(), target)
    model.n_features_in_ = 5
    with pytest.raises(Corrupt, match=f"damaged {kind.__name__}"):
        reload(model, tmp_path)


def test_boosting_with_more_columns_than_it_counts_is_refused(wine: Any, tmp_path: Path) -> None:
    model = GradientBoostingClassifier(n_estimators=2).fit(*wine)
    model.n_trees_per_iteration_ = 1
    with pytest.raises(Corrupt, match="damaged GradientBoostingClassifier"):
        reload(model, tmp_path)


def test_an_isolation_forest_that_draws_fewer_features_is_refused(wine: Any, tmp_path: Path) -> None:
    model = IsolationForest(n_estimators=3, max_features=5).fit(wine[0].to_numpy())
    model.estimators_features_ = [features[:2] for features in model.estimators_features_]
    with pytest.raises(Corrupt, match="damaged IsolationForest"):
        reload(model, tmp_path)


def test_cycles_among_objects_are_walked_once(wine: Any, tmp_path: Path) -> None:
    model = DecisionTreeClassifier().fit(*wine)
    model.myself = [model]
    check_structures(model, tmp_path / "model.skops")
