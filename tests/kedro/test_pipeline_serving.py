"""What runs when a pipeline predicts: every way in which Kedro's nodes take and give, and nobody's tables changed."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline, node

from ratoon.errors import InvalidSetting
from ratoon_kedro.pipeline_models.config import PipelineModel
from ratoon_kedro.pipeline_models.inference import find_inference
from ratoon_kedro.pipeline_models.packaging import code_of
from ratoon_kedro.pipeline_models.serving import PipelinePredictor, Step


def predictor(steps: list[Step], fixed: dict[str, Any] | None = None, **places: Any) -> PipelinePredictor:
    return PipelinePredictor(steps, fixed or {}, request="x", answer="y", parameters=places)


def both(x: Any) -> dict[str, Any]:
    return {"half": x / 2, "twice": x * 2, "more": 0}


def put(table: Any, value: float) -> Any:
    table[:] = value
    return table


def test_steps_take_and_give_as_nodes_do() -> None:
    steps: list[Step] = [
        (lambda: 3, None, "three"),
        (both, "x", {"half": "h", "twice": "t"}),
        (lambda a, b: (a, b), ["h", "t"], ["a", "b"]),
        (print, {"end": "empty"}, None),
        (lambda left, right, three: left + right + three, {"left": "a", "right": "b", "three": "three"}, "y"),
    ]
    assert predictor(steps, {"empty": ""}).predict(4.0) == 13.0


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ((both, "x", {"third": "y"}), "function 'both' did not return a dict with the keys third"),
        ((lambda x: (x, x), "x", ["y"]), "did not return 1 values"),
    ],
)
def test_a_function_that_breaks_its_promise_is_named(step: Step, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        predictor([step]).predict(1)


@pytest.mark.parametrize("table", [np.zeros(3), pd.Series([0.0] * 3), pd.DataFrame({"a": [0.0] * 3}), [0.0] * 3])
def test_what_is_fitted_stays_as_it_is(table: Any) -> None:
    model = predictor([(put, ["fitted", "x"], "y")], {"fitted": table})
    value = [7.0] * 3 if isinstance(table, list) else 7.0
    assert np.asarray(model.predict(value)).ravel().tolist() == [7.0] * 3
    assert np.asarray(table).ravel().tolist() == [0.0] * 3


def test_two_steps_do_not_see_each_others_changes() -> None:
    request = pd.DataFrame({"a": [1.0, 2.0]})
    steps: list[Step] = [
        (lambda x: put(x, 9.0), "x", "changed"),
        (lambda x, changed: float(x["a"].sum() + changed["a"].sum()), ["x", "changed"], "y"),
    ]
    assert predictor(steps).predict(request) == 21.0
    assert request["a"].tolist() == [1.0, 2.0]


def test_a_parameter_is_changed_for_one_request_wherever_it_stands() -> None:
    fixed = {"params:model": {"sure": 0.5, "depth": 2}, "parameters": {"model": {"sure": 0.5}}}
    steps: list[Step] = [
        (lambda x, model, every: x + model["sure"] + every["model"]["sure"], ["x", *fixed], "y"),
    ]
    places = {"model.sure": [("params:model", ("sure",)), ("parameters", ("model", "sure"))]}
    model = predictor(steps, fixed, **places)
    assert model.predict(0, {"model.sure": 2.0}) == 4.0
    assert model.predict(0) == 1.0
    with pytest.raises(ValueError, match="'depth' cannot be changed by a request; those that can: model.sure"):
        model.predict(0, {"depth": 1})


def identity(x: Any) -> Any:
    return x


def chunks(x: Any) -> Any:
    yield x


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        (Pipeline([node(chunks, "x", "y")]), "its function 'chunks' returns no value but yields chunks"),
        (
            Pipeline([node(identity, "x", "t@pandas", name="a"), node(identity, "t@spark", "y", name="b")]),
            "the dataset 't@spark' is written in one form and read in another",
        ),
        (
            Pipeline([node(identity, "x", "a", name="a"), node(identity, "z", "y", name="b")]),
            "is 'x', which is nothing that 'y' is made from; there are z",
        ),
    ],
)
def test_pipelines_that_cannot_run_alone_are_refused(
    pipeline: Pipeline, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pipelines, "p", pipeline)
    with pytest.raises(InvalidSetting) as refused:
        find_inference(PipelineModel(name="m", pipeline="p", input="x", output="y"))
    assert said in str(refused.value)


def test_code_of_functions_that_no_distribution_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_alone.py").write_text("def single(x): return x\n")
    (tmp_path / "mine_package").mkdir()
    (tmp_path / "mine_package" / "__init__.py").write_text("")
    (tmp_path / "mine_package" / "deep.py").write_text("def inner(x): return x\n")
    monkeypatch.syspath_prepend(tmp_path)
    from mine_alone import single  # type: ignore[import-not-found]
    from mine_package.deep import inner  # type: ignore[import-not-found]

    found = code_of([partial(partial(single), 1), inner, np.mean, len])
    assert sorted(found) == [tmp_path / "mine_alone.py", tmp_path / "mine_package"]
    for name in ("mine_alone", "mine_package", "mine_package.deep"):
        del sys.modules[name]
