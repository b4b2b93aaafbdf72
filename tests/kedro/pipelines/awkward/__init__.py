"""Nodes whose values are hard to look at: none of them may break the run, or be changed by it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.pipeline import Pipeline, node
from matplotlib.figure import Figure
from sklearn.linear_model import LinearRegression, LogisticRegression


class Hostile:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"nobody may ask for {name}")

    def __len__(self) -> int:
        raise RuntimeError("nobody may count me")

    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")


class Broken(Figure):
    def savefig(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("the printer is out of ink")


def unpicklable(seed: int) -> tuple[object, object, object]:
    return open(__file__), threading.Lock(), lambda: seed


def hostile(seed: int) -> tuple[object, object]:
    circle: list[object] = [seed]
    circle.append(circle)
    return Hostile(), circle


def huge(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, list[int], dict[str, dict[str, int]]]:
    long = pd.DataFrame({"number": np.arange(5_000_000), "half": np.arange(5_000_000) / 2})
    wide = pd.DataFrame(np.zeros((10, 20_000)))
    return long, wide, list(range(1_000_000)), {str(each): {"a": each} for each in range(100_000)}


def models(seed: int) -> tuple[object, object]:
    locked = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    locked.rest_ = (each for each in range(3))
    return locked, LinearRegression()


def figures(seed: int) -> tuple[object, object]:
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([1, 2])
    return figure, Broken()


def pieces(seed: int) -> Iterator[dict[str, Any]]:
    for each in range(3):
        yield {f"part{each}": pd.DataFrame({"a": [each] * seed})}


def look(*values: Any) -> dict[str, Any]:
    handle, lock, function, _, circle, long, wide, numbers, table, locked, fresh, figure, _, parts = values
    return {
        "handle": [handle.tell(), handle.closed],
        "lock": lock.locked(),
        "function": function(),
        "circle": len(circle),
        "long": [int(long["number"].sum()), list(long.columns), Path(__file__).name],
        "wide": list(wide.shape),
        "numbers": len(numbers),
        "table": len(table),
        "locked": [float(locked.coef_[0][0]), sorted(vars(fresh))],
        "figure": [len(figure.axes), figure.dpi, list(figure.get_size_inches())],
        "parts": sorted(parts),
    }


NAMES = (
    *("handle", "lock", "function", "hostile", "circle", "long", "wide", "numbers", "table"),
    *("locked", "unfitted", "figure", "broken"),
)


def create_pipeline(**_: object) -> Pipeline:
    odd = [f"odd_{name}" for name in NAMES]
    return Pipeline(
        [
            node(unpicklable, "params:awkward", odd[:3], name="unpicklable"),
            node(hostile, "params:awkward", odd[3:5], name="hostile"),
            node(huge, "params:awkward", odd[5:9], name="huge"),
            node(models, "params:awkward", odd[9:11], name="models"),
            node(figures, "params:awkward", odd[11:13], name="figures"),
            node(pieces, "params:awkward", "pieces", name="pieces"),
            node(look, [*odd, "pieces"], "looked", name="look"),
        ]
    )
