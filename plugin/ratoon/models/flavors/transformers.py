"""Pipelines of Transformers: weights as safetensors, configuration and tokenizer as JSON.

Code of a model's own is neither saved nor run, whatever is trusted, and nothing is fetched from the net: a pipeline is
loaded if its classes are those of the installed Transformers (:mod:`ratoon.models.flavors.transformers_files`). The
folders and the keys in the MLmodel file are MLflow's. Transformers is imported on use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ratoon.errors import InvalidInput, RatoonError
from ratoon.hookspecs import hookimpl
from ratoon.models.flavor import Flavor
from ratoon.models.flavors import transformers_files as files
from ratoon.models.trust import TrustPolicy

# What of an answer is the prediction, by the beginning of the task's name.
_ANSWERS = {
    "translation": "translation_text",
    "summarization": "summary_text",
    "text2text-generation": "generated_text",
    "text-generation": "generated_text",
    "fill-mask": "token_str",
    "automatic-speech-recognition": "text",
}
_ENTITIES = ("entity_group", "entity")


class TransformersFlavor:
    """Pipelines with a model for PyTorch."""

    requirements: tuple[str, ...] = ("transformers", "torch", "safetensors", "numpy", "pandas")

    def recognises(self, model: object) -> bool:
        """Whether it is a pipeline; Transformers is not imported to find out."""
        return any(
            (base.__module__, base.__name__) == ("transformers.pipelines.base", "Pipeline")
            for base in type(model).__mro__
        )

    def save(self, model: Any, folder: Path) -> Mapping[str, Any]:
        """Write ``model`` and ``components``."""
        transformers = files.library()
        names = [name for name in files.PARTS if getattr(model, name, None) is not None]
        config = {
            "task": model.task,
            "instance_type": type(model).__name__,
            "pipeline_model_type": type(model.model).__name__,
            "source_model_name": model.model.name_or_path,
            "model_binary": files.MODEL,
            "components": names,
            **{f"{name}_type": type(getattr(model, name)).__name__ for name in names},
            "torch_dtype": str(model.model.dtype),
            "transformers_version": transformers.__version__,
            "code": None,
        }
        _refuse_foreign(config, names, model)
        model.model.save_pretrained(folder / files.MODEL)
        for name in names:
            getattr(model, name).save_pretrained(folder / files.COMPONENTS / name)
        return config

    def python_function(self, model: Any, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """MLflow's own loader reads these folders."""
        return {"loader_module": "mlflow.transformers"}

    def load(self, folder: Path, config: Mapping[str, Any], policy: TrustPolicy) -> Any:
        """Put the pipeline together again."""
        return files.load(folder, config, policy)

    def predict(self, model: Any, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the pipeline with texts, or with what the columns of a DataFrame name.

        Returns:
            A DataFrame of labels and scores for a classification, a list of texts where the pipeline makes texts, an
            array for features, and whatever the pipeline returns for anything else.
        """
        given = _inputs(data)
        answers = model([given] if isinstance(given, str) else given, **(params or {}))
        return _predictions(model.task, answers)

    def example_from(self, model: object, candidates: Iterable[object]) -> object | None:
        """The first DataFrame that holds nothing but texts."""
        for candidate in candidates:
            dtypes = getattr(candidate, "dtypes", None)
            if dtypes is not None and hasattr(candidate, "columns") and len(dtypes) and _texts(candidate):
                return candidate
        return None


@hookimpl
def register_flavors(register: Callable[[str, Flavor], None]) -> None:
    """Provide the flavor ``transformers``."""
    register("transformers", TransformersFlavor())


def _refuse_foreign(config: Mapping[str, Any], names: list[str], model: Any) -> None:
    """Refuse to save what could not be loaded: a class whose code is not in Transformers."""
    if getattr(model, "processor", None) is not None and not names:
        raise InvalidInput(
            f"pipeline for '{model.task}' cannot be saved (it has a processor in place of a tokenizer); "
            "save it as a function: save_model(lambda rows: pipeline(...), ...)"
        )
    try:
        files.class_of(config["pipeline_model_type"], "PreTrainedModel")
        for name in names:
            files.class_of(config[f"{name}_type"], files.PARTS[name])
    except RatoonError as error:
        raise InvalidInput(f"pipeline for '{model.task}' cannot be saved ({error}); save it as a function") from error


def _texts(frame: Any) -> bool:
    from pandas.api.types import is_string_dtype

    return all(is_string_dtype(frame[name]) for name in frame.columns)


def _inputs(data: Any) -> Any:
    """Texts for a table with one column, rows by the names of their columns for one with several."""
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data.iloc[:, 0].tolist() if len(data.columns) == 1 else data.to_dict(orient="records")
    if isinstance(data, pd.Series | np.ndarray):
        return data.tolist()
    if isinstance(data, Mapping) and all(isinstance(value, list | np.ndarray) for value in data.values()):
        return _inputs(pd.DataFrame(dict(data)))
    return data


def _predictions(task: str, answers: Any) -> Any:
    import numpy as np
    import pandas as pd

    rows = answers if isinstance(answers, list) else [answers]
    if task == "feature-extraction":
        # Each text's first token, which stands for the whole of it.
        return np.array([row[0][0] for row in rows])
    if task.startswith(("ner", "token-classification")):
        nested = rows if rows and isinstance(rows[0], list) else [rows]
        return [",".join(_entity(part) for part in row) for row in nested]
    key = next((key for name, key in _ANSWERS.items() if task.startswith(name)), None)
    if key is not None:
        return [_best(row)[key].strip() for row in (rows if not _one_text(answers, key) else [rows])]
    if rows and all(isinstance(row, dict) for row in rows):
        return pd.DataFrame(rows)
    return answers


def _one_text(answers: Any, key: str) -> bool:
    """Whether the answers are the alternatives for a single text, best first, as for a single masked word."""
    return key == "token_str" and isinstance(answers, list) and bool(answers) and isinstance(answers[0], dict)


def _best(row: Any) -> Any:
    return row[0] if isinstance(row, list) else row


def _entity(part: Mapping[str, Any]) -> str:
    return next(str(part[name]) for name in _ENTITIES if name in part)
