"""``ratoon.evaluate``: a model and rows in, metrics and evidence out, kept with a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ratoon.entities import Dataset
from ratoon.errors import NotFound
from ratoon.evaluation.comparing import check_comparable, compare
from ratoon.evaluation.measuring import Asked, Finding, measure
from ratoon.evaluation.recording import record
from ratoon.evaluation.sample import Given, Sample, make_sample
from ratoon.evaluation.subject import Subject, find_subject
from ratoon.evaluation.tasks import task_named
from ratoon.evaluation.values import Comparison, Evaluation
from ratoon.models.loading import LoadedModel
from ratoon.models.trust import Trust
from ratoon.tracking.client import Client
from ratoon.tracking.fluent import active_run, get_client
from ratoon.tracking.locations import parse_model_uri
from ratoon.tracking.run import ActiveRun

# A URI, a loaded model, an object with a method predict, or a function of the data.
Model = str | LoadedModel | Callable[[Any], Any] | Any

logger = logging.getLogger(__name__)


def evaluate(
    model: Model,
    data: Any,
    targets: Any,
    *,
    task: str | None = None,
    segments: Sequence[Any] | Mapping[str, Any] = (),
    champion: Model | None = None,
    run: ActiveRun | None = None,
    weights: Any = None,
    pos_label: Any = None,
    dataset: str | Dataset = "evaluation",
    minimum_rows: int = 30,
    figures: bool | None = None,
    trust: Trust = None,
    client: Client | None = None,
) -> Evaluation:
    """Measure how good a model is and keep that with a run: metrics, figures, predictions and the data's digest.

    Everything is computed before anything is recorded. A registered version that is evaluated by its URI gets the tag
    ``ratoon.evaluation_run``, by which the gates of a promotion find the evidence.

    Args:
        model: A URI (``models:/wine/3``, ``runs:/<id>/model``), a folder, a loaded model, an object with a method
            ``predict``, or a function of the data.
        data: A DataFrame of pandas, Polars or Arrow, a dict of lists, a list of records, or arrays.
        targets: What is true: the name of a column, which the model then does not get, or a value for each row.
        task: ``binary``, ``multiclass`` or ``regression``; what model, targets and answers look like if None.
        segments: By what the rows are divided: names of columns, Series, or values by name.
        champion: Another model to evaluate on the same rows, in a run of its own below this one. An alias that nobody
            holds yet is passed over with a warning.
        run: The run to log to; the active one if None, or else a new one.
        weights: How much each row counts: the name of a column, which the model then does not get, or numbers.
        pos_label: The positive one of two classes, as it is or as it is written; the last one in order if None.
        dataset: What to call the data: a name, or a path or URI that ends in one. Or the dataset as it was recorded
            elsewhere, with its own digest.
        minimum_rows: Segments with fewer rows are marked as such.
        figures: Whether to draw them; only where Matplotlib is installed if None.
        trust: What loading a model may run, see :func:`ratoon.load_model`.
        client: Where models are and runs go; that of the run, or of the settings, if None.

    Raises:
        InvalidInput: Data, targets and answers do not fit together; the message says where.
        NotFound: There is no such model. Untrusted: loading it would run code that ``trust`` does not allow.
        MissingExtra: scikit-learn is not installed, or figures are wanted and Matplotlib is not.
    """
    client = client or (run.client if run is not None else get_client())
    asked = Asked(task_named(task), pos_label, minimum_rows)
    sample = make_sample(Given(data, targets, segments, weights, dataset))
    found = measure(find_subject(client, model, trust), sample, asked)
    rival = None if champion is None else _rival(client, champion, trust)
    held = None if rival is None else measure(rival, sample, asked)
    if held is not None:
        check_comparable(found.measured, held.measured)
    with _home(client, run, found.subject) as home:
        comparison = None if held is None else _compared(home, found, held, sample, figures)
        return record(home, found, sample, figures=figures, comparison=comparison)


def _rival(client: Client, champion: Model, trust: Trust) -> Subject | None:
    """The champion; None if nobody is."""
    try:
        return find_subject(client, champion, trust)
    except NotFound as error:
        if not isinstance(champion, str) or not _is_free_alias(client, champion):
            raise
        logger.warning("there is no champion to compare with (%s)", error)
        return None


def _is_free_alias(client: Client, uri: str) -> bool:
    parsed = parse_model_uri(uri)
    if parsed.alias is None or parsed.name is None:
        return False
    return parsed.alias not in client.registry.get_registered_model(parsed.name).aliases


def _home(client: Client, run: ActiveRun | None, subject: Subject) -> AbstractContextManager[ActiveRun]:
    """The run to log to; one that somebody else started goes on."""
    active = active_run() if run is None else run
    if active is not None and (run is not None or active.client is client):
        return nullcontext(active)
    return client.start_run(run_name=f"evaluate {subject.name}")


def _compared(home: ActiveRun, found: Finding, held: Finding, sample: Sample, figures: bool | None) -> Comparison:
    """Keep the champion's evaluation in a run below, and compare."""
    with _below(home, f"champion {held.subject.name}") as run:
        record(run, held, sample, figures=figures)
    return compare(found.measured, held.measured, name=held.subject.name, run_id=run.run_id)


def _below(home: ActiveRun, name: str) -> ActiveRun:
    experiment = home.client.tracking.get_experiment(home.experiment_id).name
    return home.client.start_run(experiment=experiment, run_name=name, parent_run_id=home.run_id)
