"""What a pipeline becomes as a model: its functions in order, what they need beside the request, and no Kedro.

The class is pickled by value, so a process that loads it needs neither Kedro nor ratoon: nothing but the standard
library is imported here.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# A function, what it takes and what it gives: one name, a list of names, a mapping from its own names, or None.
Step = tuple[Callable[..., Any], Any, Any]


class PipelinePredictor:
    """Runs the steps of a pipeline for one request; many threads may do so at a time.

    Nothing is loaded, saved or logged. Like Kedro, it gives each step tables, arrays and containers of its own wherever
    another step or the next request will see them, too; fitted objects are shared.

    Args:
        steps: In an order in which each finds what it takes.
        fixed: The fitted datasets and parameters, by the names that the steps use.
        request: The name of what a request brings.
        answer: The name of what it gets.
        parameters: For each parameter that a request may change: the dataset that holds it and the keys in there.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        fixed: Mapping[str, Any],
        *,
        request: str,
        answer: str,
        parameters: Mapping[str, Sequence[tuple[str, tuple[str, ...]]]],
    ) -> None:
        self._steps = tuple(steps)
        self._fixed = dict(fixed)
        self._request, self._answer = request, answer
        self._parameters = dict(parameters)
        self._shared = {*fixed, *_used_twice(self._steps)}

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any:
        """What the pipeline makes of a request.

        Args:
            model_input: The dataset that the request brings.
            params: New values of some parameters, by their dotted names.

        Raises:
            ValueError: A parameter is not one that a request may change, or a step gave something else than it
                promises. What a step raises is not touched.
        """
        values = {**self._fixed, self._request: model_input}
        if params:
            self._change(values, params)
        for function, takes, gives in self._steps:
            _put(values, gives, self._call(function, takes, values), function)
        return values[self._answer]

    def _call(self, function: Callable[..., Any], takes: Any, values: Mapping[str, Any]) -> Any:
        if takes is None:
            return function()
        if isinstance(takes, str):
            return function(self._given(takes, values))
        if isinstance(takes, dict):
            return function(**{argument: self._given(name, values) for argument, name in takes.items()})
        return function(*(self._given(name, values) for name in takes))

    def _given(self, name: str, values: Mapping[str, Any]) -> Any:
        return _own(values[name]) if name in self._shared else values[name]

    def _change(self, values: dict[str, Any], params: Mapping[str, Any]) -> None:
        for parameter, value in params.items():
            if parameter not in self._parameters:
                known = ", ".join(self._parameters) or "none"
                raise ValueError(f"parameter {parameter!r} cannot be changed by a request; those that can: {known}")
            for name, keys in self._parameters[parameter]:
                values[name] = _with(values[name], keys, value)


def _with(value: Any, keys: Sequence[str], new: Any) -> Any:
    """A nested mapping with one leaf replaced; the original stays as it is."""
    return {**value, keys[0]: _with(value[keys[0]], keys[1:], new)} if keys else new


def _put(values: dict[str, Any], gives: Any, result: Any, function: Callable[..., Any]) -> None:
    if gives is None:
        return
    if isinstance(gives, str):
        values[gives] = result
        return
    if isinstance(gives, dict):
        if not isinstance(result, dict) or set(gives) - set(result):
            raise ValueError(f"function {_name(function)!r} did not return a dict with the keys {', '.join(gives)}")
        values.update({name: result[key] for key, name in gives.items()})
        return
    if not isinstance(result, (list, tuple)) or len(result) != len(gives):
        raise ValueError(f"function {_name(function)!r} did not return {len(gives)} values")
    values.update(zip(gives, result, strict=True))


def _own(value: Any) -> Any:
    """A value that may be changed in place without anybody else seeing it."""
    if isinstance(value, (dict, list, set)):
        return copy.deepcopy(value)
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series)):
        # Since its third version pandas copies by itself what is written to.
        return value.copy(deep=int(pandas.__version__.partition(".")[0]) < 3)
    return value.copy() if numpy is not None and isinstance(value, numpy.ndarray) else value


def _used_twice(steps: Sequence[Step]) -> set[str]:
    seen: set[str] = set()
    twice: set[str] = set()
    for _, takes, _ in steps:
        for name in names_in(takes):
            (twice if name in seen else seen).add(name)
    return twice


def names_in(spec: Any) -> list[str]:
    """The dataset names in what a step takes or gives."""
    if spec is None:
        return []
    if isinstance(spec, str):
        return [spec]
    return list(spec.values() if isinstance(spec, dict) else spec)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
