"""Nodes that need no library, and do what the parameter says: work, fail, wait, leave."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from kedro.pipeline import Pipeline, node


def begin(seed: int) -> int:
    return seed + 1


def act(number: int, action: str) -> dict[str, float]:
    if action == "fail":
        raise RuntimeError("cannot reach https://anna:hunter2@db/wines")
    if action == "leave":
        sys.exit(3)
    if action == "wait":
        Path("waiting").touch()
        time.sleep(60)
    return {"half": number / 2}


def end(scores: dict[str, float]) -> float:
    return scores["half"] * 2


def create_pipeline(**_: object) -> Pipeline:
    return Pipeline(
        [
            node(begin, "params:seed", "number", name="begin"),
            node(act, ["number", "params:action"], "scores", name="act"),
            node(end, "scores", "doubled", name="end"),
        ]
    )
