"""Nodes that write files, do what the parameter says, and log what they do."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from kedro.pipeline import Pipeline, node

logger = logging.getLogger(__name__)


def begin(parameters: dict[str, Any]) -> tuple[dict[str, float], dict[str, Any]]:
    logger.warning("begin with seed %s for https://anna:hunter2@db/wines", parameters["seed"])
    if "chatter" in parameters:
        logger.warning(parameters["chatter"] * 1000)
    return {"one": parameters["seed"] / 2, "two": 2.0}, dict(sorted(parameters.items()))


def act(first: dict[str, float], action: str) -> object:
    if action == "fail":
        raise RuntimeError("the node cannot go on")
    if action == "leave":
        sys.exit(3)
    if action == "wait":
        Path(f"waiting.{os.getpid()}").touch()
        deadline = time.monotonic() + 60
        while not Path("go-on").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    if action == "unsaved":
        return object()
    return {"three": first["one"] + first["two"]}


def beside(first: dict[str, float]) -> dict[str, float]:
    return {"four": first["one"] * 4}


def end(second: dict[str, float], side: dict[str, float]) -> dict[str, float]:
    logger.warning("end")
    return {"sum": second["three"] + side["four"]}


def create_pipeline(**_: object) -> Pipeline:
    return Pipeline(
        [
            node(begin, "parameters", ["first", "received"], name="begin"),
            node(act, ["first", "params:action"], "second", name="act"),
            node(beside, "first", "side", name="beside"),
            node(end, ["second", "side"], "last", name="end"),
        ]
    )
