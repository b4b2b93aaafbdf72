"""The form in which a Python model is pickled: what MLflow calls, without MLflow.

MLflow asks an unpickled model for ``load_context``, ``predict`` and ``predict_type_hints`` and for nothing else, so no
class of MLflow's is needed to make one. The class is pickled by value, and imports what it uses in its methods: a
process that loads it needs neither ratoon nor this module.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class PythonModel:
    """A function or an object with a method ``predict``, called the way it wants to be called.

    Its first parameter is the context if it has that name; a parameter ``params`` gets all parameters as a mapping,
    else each is a keyword.
    """

    # MLflow converts data where these say so.
    predict_type_hints = SimpleNamespace(input=None, output=None)

    def __init__(self, model: Any) -> None:
        self.model = model
        self.context: Any = None

    def load_context(self, context: Any) -> None:
        """Give the model its files and its configuration."""
        self.context = context
        load = getattr(self.model, "load_context", None)
        if load is not None:
            load(context)

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Call the model; ``context`` is the one that was loaded if None."""
        import inspect

        function = getattr(self.model, "predict", self.model)
        try:
            names = list(inspect.signature(function).parameters)
        except (TypeError, ValueError):  # a compiled function may not tell
            names = []
        first = (context or self.context,) if names[:1] == ["context"] else ()
        if "params" in names:
            return function(*first, model_input, params=params)
        return function(*first, model_input, **(params or {}))
