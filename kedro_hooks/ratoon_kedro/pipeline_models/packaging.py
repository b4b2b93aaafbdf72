"""How an inference pipeline becomes a model: fitted datasets, frozen parameters, signature and the project's code."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput, NotFound
from ratoon_kedro.pipeline_models import serving as pipeline_serving
from ratoon_kedro.pipeline_models.inference import find_inference
from ratoon_kedro.pipeline_models.serving import PipelinePredictor
from ratoon_kedro.pipeline_models.values import kept_value
from ratoon_kedro.recording.params import REDACTED, flatten

if TYPE_CHECKING:
    from ratoon.models.signature import Signature
    from ratoon_kedro.pipeline_models.config import PipelineModel
    from ratoon_kedro.recording.params import Redactor
    from ratoon_kedro.state import Owned, Tracked

ROWS = 10_000  # of the example: enough to see types and gaps

logger = logging.getLogger("ratoon_kedro")
_pickling = threading.Lock()


def log_pipeline_model(tracked: Tracked, owned: Owned, model: PipelineModel) -> None:
    """Package a pipeline, log it to the run and register it if the project says so.

    Raises:
        NotFound: A fitted dataset is neither in the catalog nor was made by this run. InvalidInput: A parameter is a
            secret, or the pipeline fails on its example.
    """
    from ratoon.models.bundle import Bundle

    inference = find_inference(model)
    fixed = {name: _fitted(tracked, owned.catalog, model, name) for name in inference.fitted}
    fixed |= {name: _frozen(owned.catalog, model, name, tracked.context.redactor) for name in inference.params}
    places, defaults = _changeable(model, inference.params, fixed)
    predictor = PipelinePredictor(
        inference.steps, fixed, request=model.input, answer=inference.answer, parameters=places
    )
    example = _example(tracked, owned.catalog, model)
    signature = _signature(model, predictor, example, defaults)
    bundle = Bundle(predictor, code=code_of(function for function, _, _ in inference.steps))
    described = {"pipeline": model.pipeline, "input": model.input, "output": inference.answer}
    with tracked.saving_model, _by_value(pipeline_serving):
        record = tracked.run.log_model(
            bundle,
            model.name,
            flavor="python_function",
            input_example=example,
            signature=signature,
            metadata={"kedro": described},
        )
    logger.info("logged pipeline %r as the model %r (models:/%s)", model.pipeline, model.name, record.model_id)
    if model.register is not None:
        from ratoon_kedro.describing.registering import register_model_as

        register_model_as(tracked, record, model.register, owned.project.path)


def code_of(functions: Iterable[Any]) -> list[Path]:
    """The files and folders of the project's package, and of every module that is nobody's distribution."""
    from kedro.framework.project import PACKAGE_NAME

    from ratoon.models.imported import modules_of_the_user

    modules: dict[str, ModuleType] = {}
    if PACKAGE_NAME and PACKAGE_NAME in sys.modules:
        modules[PACKAGE_NAME] = sys.modules[PACKAGE_NAME]
    for function in functions:
        while isinstance(function, partial):
            function = function.func
        for module in modules_of_the_user(function):
            top = module.__name__.partition(".")[0]
            modules[top] = sys.modules.get(top, module)
    return [path for module in modules.values() for path in _files_of(module)]


def _files_of(module: ModuleType) -> list[Path]:
    folders = [Path(path) for path in getattr(module, "__path__", ())]
    if folders:
        return folders[:1]
    file = getattr(module, "__file__", None)
    return [Path(file)] if file else []  # what has no file is pickled by value


def _fitted(tracked: Tracked, catalog: Any, model: PipelineModel, name: str) -> Any:
    try:
        return kept_value(tracked, name)
    except LookupError:
        pass
    if name not in catalog or not catalog.exists(name):
        raise NotFound(
            f"dataset {name!r} of the pipeline {model.pipeline!r} is not there (nothing in this run made it, and it "
            "is not stored); give it an entry in catalog.yml that outlives the run which makes it"
        )
    return catalog.get(name).load()  # not by the catalog, which would announce it


def _frozen(catalog: Any, model: PipelineModel, name: str, redactor: Redactor) -> Any:
    value = catalog.get(name).load()
    flat = flatten(name.removeprefix("params:") if name != "parameters" else "", value, redactor)
    secret = next((key for key, text in flat.items() if REDACTED in text), None)
    if secret is not None:
        raise InvalidInput(
            f"parameter {secret!r} of the pipeline {model.pipeline!r} is a secret (whoever gets the model could read "
            "it); let the function read it from the environment"
        )
    return value


def _changeable(
    model: PipelineModel, params: Iterable[str], fixed: Mapping[str, Any]
) -> tuple[dict[str, list[tuple[str, tuple[str, ...]]]], dict[str, Any]]:
    """Where each parameter lies that a request may change, and what it is if the request says nothing."""
    places: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    defaults: dict[str, Any] = {}
    for wanted in model.parameters:
        for name in params:
            held = name.removeprefix("params:") if name != "parameters" else ""
            keys = _keys_below(held, wanted)
            if keys is None or not _has(fixed[name], keys):
                continue
            places.setdefault(wanted, []).append((name, keys))
            defaults[wanted] = _leaf(fixed[name], keys)
        if wanted not in places:
            raise InvalidInput(
                f"parameter {wanted!r} of the pipeline model {model.name!r} cannot be changed by a request (the "
                f"pipeline takes {', '.join(params) or 'no parameters'}); name one of those, or a key in one"
            )
    return places, defaults


def _keys_below(held: str, wanted: str) -> tuple[str, ...] | None:
    if held == wanted:
        return ()
    rest = wanted if not held else wanted.removeprefix(f"{held}.")
    return tuple(rest.split(".")) if not held or rest != wanted else None


def _has(value: Any, keys: tuple[str, ...]) -> bool:
    return not keys or (isinstance(value, Mapping) and keys[0] in value and _has(value[keys[0]], keys[1:]))


def _leaf(value: Any, keys: tuple[str, ...]) -> Any:
    return _leaf(value[keys[0]], keys[1:]) if keys else value


def _example(tracked: Tracked, catalog: Any, model: PipelineModel) -> Any:
    """Rows such as a request brings; None if there are none."""
    name = model.example or model.input
    try:
        value = kept_value(tracked, name)
    except LookupError:
        if name not in catalog or not catalog.exists(name):
            logger.warning(
                "pipeline model %r has no signature (there is no dataset %r to infer it from); name one that there is "
                "as its 'example'",
                model.name,
                name,
            )
            return None
        value = catalog.get(name).load()
    return value.iloc[:ROWS] if hasattr(value, "iloc") else value


def _signature(
    model: PipelineModel, predictor: PipelinePredictor, example: Any, defaults: Mapping[str, Any]
) -> Signature:
    from ratoon.models.examples import first_rows
    from ratoon.models.signature import Signature, infer_signature

    # Without parameters that may be changed a request may give none.
    inputs = infer_signature(example, params=defaults)
    if example is None:
        return inputs
    rows = inputs.enforce(first_rows(example))
    try:
        answer = predictor.predict(rows)
    except Exception as error:  # the user's functions may raise anything
        raise InvalidInput(
            f"pipeline {model.pipeline!r} fails on rows of the dataset {model.example or model.input!r} "
            f"({type(error).__name__}: {error}); name another dataset as its 'example', or correct it"
        ) from error
    try:
        outputs = infer_signature(_as_column(rows, answer)).inputs
    except InvalidInput as error:
        logger.warning("the answers of pipeline model %r are not described in its signature: %s", model.name, error)
        outputs = None
    return Signature(inputs=inputs.inputs, outputs=outputs, params=inputs.params)


def _as_column(rows: Any, answer: Any) -> Any:
    """One value a row of a table is a column, as MLflow sees it."""
    if hasattr(rows, "columns") and getattr(answer, "ndim", 0) == 1 and not hasattr(answer, "index"):
        import pandas as pd

        return pd.Series(answer)
    return answer


@contextmanager
def _by_value(module: ModuleType) -> Iterator[None]:
    """Have a module's classes written out, also where it is installed: who loads the model need not have it."""
    import cloudpickle

    with _pickling:
        cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            cloudpickle.unregister_pickle_by_value(module)
