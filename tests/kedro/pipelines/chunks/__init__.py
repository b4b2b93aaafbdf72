"""Nodes that give their output piece by piece, and read it as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pandas as pd
from kedro.pipeline import Pipeline, node

import ratoon


def cut(wines: pd.DataFrame) -> Iterator[dict[str, pd.DataFrame]]:
    for grower, part in wines.groupby("target"):
        time.sleep(0.05)
        ratoon.log_metric("cut.rows", len(part), step=int(grower))
        yield {f"grower{grower}": part}


def count(parts: dict[str, Callable[[], pd.DataFrame]]) -> dict[str, int]:
    return {name: len(load()) for name, load in sorted(parts.items())}


def widen(wines: pd.DataFrame) -> pd.DataFrame:
    return wines.assign(row=range(len(wines)))


def create_pipeline(**_: object) -> Pipeline:
    return Pipeline(
        [
            node(cut, "wines", "by_grower", name="cut"),
            node(count, "by_grower", "counted", name="count"),
            node(widen, "wines", "wide@frame", name="widen"),
            node(len, "wide@text", "characters", name="len"),
        ]
    )
