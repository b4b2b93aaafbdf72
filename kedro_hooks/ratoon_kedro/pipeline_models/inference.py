"""The registered pipeline behind a model: found, cut to what the answer needs, and taken apart into steps."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from difflib import get_close_matches
from typing import Any

from msgspec import Struct

from ratoon.errors import InvalidSetting
from ratoon_kedro.pipeline_models.config import SETTING, PipelineModel
from ratoon_kedro.pipeline_models.serving import Step, names_in
from ratoon_kedro.recording.params import is_param


class Inference(Struct, frozen=True, kw_only=True):
    """What a request goes through.

    Attributes:
        model: What the project says about it.
        steps: The functions, in order.
        answer: The dataset that a request gets.
        fitted: The datasets that it needs beside the request.
        params: The parameters that it needs, as datasets.
    """

    model: PipelineModel
    steps: tuple[Step, ...]
    answer: str
    fitted: tuple[str, ...]
    params: tuple[str, ...]


def find_inference(model: PipelineModel) -> Inference:
    """Look up the pipeline of a model.

    Raises:
        InvalidSetting: There is no such pipeline, input or output, or it cannot run without a catalog.
    """
    pipeline = _registered(model)
    answer = _answer(model, pipeline)
    if model.input not in pipeline.inputs():
        raise _refusal(model, "input", model.input, "no free input of the pipeline", _data(pipeline.inputs()))
    pipeline = pipeline.to_outputs(answer)
    if model.input not in pipeline.inputs():
        raise _refusal(model, "input", model.input, f"nothing that {answer!r} is made from", _data(pipeline.inputs()))
    steps = tuple((node.func, node._inputs, node._outputs) for node in pipeline.nodes)
    _check_steps(model, steps, pipeline.inputs())
    free = sorted(pipeline.inputs() - {model.input})
    return Inference(
        model=model,
        steps=steps,
        answer=answer,
        fitted=tuple(name for name in free if not is_param(name)),
        params=tuple(name for name in free if is_param(name)),
    )


def _answer(model: PipelineModel, pipeline: Any) -> str:
    free = sorted(pipeline.outputs())
    if model.output is not None:
        if model.output not in pipeline.all_outputs():
            raise _refusal(model, "output", model.output, "no output of the pipeline", free)
        return model.output
    if len(free) != 1:
        raise InvalidSetting(
            f"setting '{SETTING}.{model.name}.output' is missing (the pipeline {model.pipeline!r} has "
            f"{len(free)} free outputs: {', '.join(free) or 'none'}); name the one that a request gets"
        )
    return str(free[0])


def _check_steps(model: PipelineModel, steps: tuple[Step, ...], free: set[str]) -> None:
    known = set(free)
    for function, takes, gives in steps:
        name = getattr(function, "__qualname__", repr(function))
        if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
            raise InvalidSetting(
                f"pipeline {model.pipeline!r} cannot be the model {model.name!r} (its function {name!r} returns no "
                "value but yields chunks, or is asynchronous); let it return"
            )
        for missing in set(names_in(takes)) - known:
            raise InvalidSetting(
                f"pipeline {model.pipeline!r} cannot be the model {model.name!r} (the dataset {missing!r} is written "
                "in one form and read in another, which needs a catalog); use one name without an @"
            )
        known |= set(names_in(gives))


def _registered(model: PipelineModel) -> Any:
    from kedro.framework.project import pipelines

    known = dict(pipelines.items())
    # Kedro may have loaded only the pipelines that are run.
    for names in ([model.pipeline], None):
        if model.pipeline not in known:
            known |= _loaded(pipelines, names)
    if model.pipeline not in known:
        raise _refusal(model, "pipeline", model.pipeline, "not registered", sorted(known))
    return known[model.pipeline]


def _loaded(pipelines: Any, names: list[str] | None) -> dict[str, Any]:
    """Have Kedro load some of the pipelines, or all if None, and make it forget about that afterwards."""
    if not hasattr(pipelines, "set_requested"):  # it has loaded all of them
        return {}
    with getattr(pipelines, "_lock", nullcontext()):
        before = getattr(pipelines, "_requested_pipelines", None)
        pipelines.set_requested(names)
        try:
            return dict(pipelines.items())
        except Exception:  # a registry that knows a pipeline by another name than its folder's
            return {}
        finally:
            pipelines.set_requested(before)


def _data(names: set[str]) -> list[str]:
    return sorted(name for name in names if not is_param(name))


def _refusal(model: PipelineModel, key: str, value: str, state: str, known: list[str]) -> InvalidSetting:
    near = get_close_matches(value, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"
    return InvalidSetting(f"setting '{SETTING}.{model.name}.{key}' is {value!r}, which is {state}; {hint}")
