"""What nodes return, as metrics, histories, figures, documents and models.

A number is the metric ``<dataset>``, a flat dict of numbers is one metric a key: ``<dataset>.<key>``. The name of the
dataset is always part of it, so that a metric keeps its name and its meaning when another node begins to return one.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ratoon_kedro.guarding import guard
from ratoon_kedro.recording.lineage import base_name
from ratoon_kedro.recording.params import is_param, safe_key, safe_part
from ratoon_kedro.recording.stored_files import lives_in_memory

if TYPE_CHECKING:
    from ratoon.tracking.outputs import Description
    from ratoon_kedro.state import Tracked

FIGURES = "kedro/figures"
VALUES = "kedro/values"

_NOT_IN_MODEL_NAMES = re.compile(r"[/:@%#?]")


class Output(NamedTuple):
    """One value that a node returned.

    ``beside`` is what the node received and returned, by dataset; a model's example is looked for in it, in this order.
    """

    catalog: Any
    name: str
    value: object
    inputs: Mapping[str, object]
    beside: Mapping[str, object]


def record_output(tracked: Tracked, output: Output) -> None:
    """Log what a plugin, or ratoon itself, finds in one value that a node returned."""
    from ratoon.tracking.outputs import describe

    if output.value is None or isinstance(output.value, bool):
        return
    options = tracked.options_of(output.catalog, output.name)
    own = _logs_itself(output.catalog, output.name)
    if own == "model":
        _offer_examples(output)
    if not options.log or own in ("model", "metrics"):
        return
    dataset = options.name or base_name(output.name)
    description = describe(tracked.client.manager, dataset, output.value)
    if description is not None:
        _log_numbers(tracked, dataset, description, wanted=options.metrics)
        if own is None:
            _log_files(tracked, dataset, description)
    _log_models(tracked, output, dataset, description, wanted=options.model)


def model_name(dataset: str) -> str:
    """The name of the model that a dataset holds: without the characters that model URIs need for themselves."""
    return _NOT_IN_MODEL_NAMES.sub("_", base_name(dataset))


def _log_numbers(tracked: Tracked, dataset: str, found: Description, *, wanted: bool | None) -> None:
    """Metrics and histories: ``wanted`` goes before what the project says of their names."""
    if wanted is False or not (found.metrics or found.histories):
        return
    from ratoon.tracking.recording import key_of, log_histories

    selection = tracked.context.config.metrics
    everything = wanted is True or selection.is_everything

    def named(key: str) -> str:
        return safe_key(key_of(dataset, key))

    metrics = {named(key): value for key, value in found.metrics.items()}
    tracked.run.log_metrics({key: value for key, value in metrics.items() if everything or selection.picks(key)})
    if found.histories:
        histories = {named(key): history for key, history in found.histories.items()}
        picked = {key: history for key, history in histories.items() if everything or selection.picks(key)}
        log_histories(tracked.run, picked)


def _log_files(tracked: Tracked, dataset: str, found: Description) -> None:
    if not found.figures and found.document is None:
        return
    from ratoon.tracking.recording import key_of, log_document, log_figure_forms

    for key, figure in found.figures.items():
        with guard(f"draw the figure of dataset {dataset!r}", tracked.context), tracked.drawing:
            log_figure_forms(tracked.run, figure, f"{FIGURES}/{safe_part(key_of(dataset, key))}")
    redactor = tracked.context.redactor
    if found.document is not None and not redactor.hides(dataset):
        log_document(tracked.run, redactor.clean(dataset, found.document), f"{VALUES}/{safe_part(dataset)}.json")


def _log_models(
    tracked: Tracked, output: Output, dataset: str, found: Description | None, *, wanted: bool | None
) -> None:
    if wanted is False or (wanted is None and not tracked.context.config.models.picks(base_name(output.name))):
        return
    models: Mapping[str, object] = {} if found is None else found.models
    if found is not None and found.model is not None:
        models = {"": found.model}
    if wanted and not models:  # asked for by name: the generic flavor may take what no other one knows
        models = {"": output.value}
    is_registered = base_name(output.name) in tracked.context.config.register
    for key, model in models.items():
        if not is_registered and _is_passed_on(output, model):
            continue
        name = f"{model_name(dataset)}.{_NOT_IN_MODEL_NAMES.sub('_', key)}" if key else model_name(dataset)
        with guard(f"log the model {name!r}", tracked.context), tracked.saving_model:
            _log_model(tracked, name, model, output.beside)


def _log_model(tracked: Tracked, name: str, model: object, beside: Mapping[str, object]) -> None:
    from ratoon.models.flavors import flavor_of

    flavor_name, flavor = flavor_of(model, tracked.client.manager)
    candidates = [value for key, value in beside.items() if not is_param(key) and value is not model]
    example = flavor.example_from(model, candidates)
    tracked.run.log_model(model, name, flavor=flavor_name, input_example=example)


def _is_passed_on(output: Output, model: object) -> bool:
    """Whether the node received this very model and did not change it: whoever made it has logged it already.

    What the project keeps in a file is another thing: its name is the one that people look for.
    """
    if not lives_in_memory(output.catalog.get(output.name)):
        return False
    for name, value in output.inputs.items():
        if value is not model and value is not output.value:
            continue
        try:
            before = output.catalog.get(name).load()
            return before is not value and pickle.dumps(before) == pickle.dumps(value)
        except Exception:  # it cannot be compared; a model twice is better than none
            return False
    return False


def _logs_itself(catalog: Any, name: str) -> str | None:
    from ratoon_kedro.datasets.marking import logs_itself

    return logs_itself(catalog, name)


def _offer_examples(output: Output) -> None:
    from ratoon_kedro.datasets.marking import offer_examples

    values = (value for key, value in output.beside.items() if not is_param(key) and value is not output.value)
    offer_examples(output.catalog, output.name, values)
