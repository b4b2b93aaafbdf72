"""A Python model together with the files that it needs: artifacts, code of its own, a configuration.

::

    class Tagger:
        def load_context(self, context):
            self.words = set(Path(context.artifacts["words"]).read_text().split())

        def predict(self, data):
            return [word in self.words for word in data["word"]]

    run.log_model(Bundle(Tagger(), artifacts={"words": "words.txt"}))

Nothing beyond the standard library is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ratoon.models.flavors.python_function_adapter import PythonModel


class Context:
    """What a model is given when it is loaded, and at each prediction if its first parameter is called ``context``.

    Attributes:
        artifacts: The path of each file or folder that was stored with the model, by its name.
        model_config: The configuration that was stored with the model.
    """

    def __init__(self, artifacts: Mapping[str, str], model_config: Mapping[str, Any]) -> None:
        self.artifacts = dict(artifacts)
        self.model_config = dict(model_config)


class Bundle:
    """A model to be saved with files beside it.

    Args:
        model: An object with a method ``predict``, a function, or the path of a script that makes one.
        artifacts: Files and folders to store, by the names under which ``context.artifacts`` has them.
        code: Python files and packages to store; they can be imported when the model is loaded.
        model_config: Plain values that ``context.model_config`` has.
    """

    def __init__(
        self,
        model: Any,
        *,
        artifacts: Mapping[str, str | Path] | None = None,
        code: Sequence[str | Path] = (),
        model_config: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.artifacts = {name: Path(path) for name, path in (artifacts or {}).items()}
        self.code = tuple(Path(path) for path in code)
        self.model_config = dict(model_config or {})

    def predict(self, data: Any, **params: Any) -> Any:
        """Predict as the loaded model will, with the files where they are now."""
        return self.prepared().predict(None, data, params)

    def prepared(self) -> PythonModel:
        """The model with its context loaded; for a script, what the script makes."""
        from ratoon.models.flavors.python_function_script import is_script, run_script

        model = run_script(self.model) if is_script(self.model) else self.model
        prepared = PythonModel(model)
        prepared.load_context(Context({name: str(path) for name, path in self.artifacts.items()}, self.model_config))
        return prepared
