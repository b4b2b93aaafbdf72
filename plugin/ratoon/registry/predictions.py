"""Stored predictions: what a version answered to each row of an evaluation's data, so that two can be compared.

Two files of the run that evaluated the version. ``evaluation/predictions.csv`` is UTF-8 with a header and a line for
each row::

    row,target,prediction,probability:0,probability:1
    17,0,0,0.93,0.07

``row`` tells the rows apart and is the same for every model that is evaluated on this data; the probabilities, a column
for each class, may be left out. Truth values are 1 and 0, other numbers are written so that they read back equal.
``evaluation/predictions.json``, written last, says which data this is and how to know that the file is whole::

    {"format": 1, "dataset": "wine-test", "digest": "0a1b2c3d", "rows": 1000, "sha256": "…"}
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from ratoon.entities import Run
from ratoon.errors import Corrupt, InvalidInput
from ratoon.tracking.client import Client
from ratoon.tracking.locations import artifact_key
from ratoon.tracking.run import ActiveRun

TABLE = "evaluation/predictions.csv"
DESCRIPTION = "evaluation/predictions.json"
FORMAT: Literal[1] = 1

_PROBABILITY = "probability:"
_COLUMNS = ("row", "target", "prediction")


class Predictions(Struct, frozen=True, kw_only=True):
    """What a model answered, row by row.

    Values may be given as they are, numbers of NumPy too; read back, each is the text that stands in the file.

    Attributes:
        dataset: The name of the evaluation's data.
        digest: The digest of the evaluation's data: only predictions for the same data can be compared.
        rows: What tells the rows apart.
        targets: What is true.
        predictions: What the model said.
        probabilities: How likely the model found each class, by the class as it is written among the targets.
    """

    dataset: str
    digest: str
    rows: Sequence[Any]
    targets: Sequence[Any]
    predictions: Sequence[Any]
    probabilities: Mapping[str, Sequence[Any]] = field(default_factory=dict)


class _Description(Struct, frozen=True, kw_only=True):
    format: Literal[1]
    dataset: str
    digest: str
    rows: int
    sha256: str


def log_predictions(run: ActiveRun, predictions: Predictions) -> None:
    """Keep predictions with the run that evaluated a model.

    Raises:
        InvalidInput: The columns differ in length, or two rows have the same name.
    """
    content = _table(predictions).encode()
    description = _Description(
        format=FORMAT,
        dataset=predictions.dataset,
        digest=predictions.digest,
        rows=len(predictions.rows),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    run.log_stream(io.BytesIO(content), TABLE)
    run.log_stream(io.BytesIO(msgspec.json.encode(description)), DESCRIPTION)


def read_predictions(client: Client, run: Run) -> Predictions:
    """The predictions that a run keeps, in the order in which they were written.

    Raises:
        NotFound: It keeps none.
        Corrupt: The two files do not belong together, or are something else.
    """
    root = artifact_key(run.artifact_uri)
    try:
        said = msgspec.json.decode(_read(client, f"{root}/{DESCRIPTION}"), type=_Description)
    except msgspec.DecodeError as error:
        raise _unreadable(run, str(error)) from error
    content = _read(client, f"{root}/{TABLE}")
    if hashlib.sha256(content).hexdigest() != said.sha256:
        raise _unreadable(run, "the table is not the one that was described")
    header, *lines = csv.reader(io.StringIO(content.decode(), newline=""))
    if tuple(header[:3]) != _COLUMNS or any(len(line) != len(header) for line in lines):
        raise _unreadable(run, f"its columns are {', '.join(header[:5])}")
    columns = list(zip(*lines, strict=True)) or [() for _ in header]
    return Predictions(
        dataset=said.dataset,
        digest=said.digest,
        rows=columns[0],
        targets=columns[1],
        predictions=columns[2],
        probabilities={
            name.removeprefix(_PROBABILITY): column for name, column in zip(header[3:], columns[3:], strict=True)
        },
    )


def as_text(value: Any) -> str:
    """A value as it stands in the file."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return str(int(value))
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _table(predictions: Predictions) -> str:
    classes = list(predictions.probabilities)
    columns = [predictions.rows, predictions.targets, predictions.predictions, *predictions.probabilities.values()]
    lengths = {len(column) for column in columns}
    rows = [as_text(row) for row in predictions.rows]
    if len(lengths) != 1 or len(set(rows)) != len(rows):
        raise InvalidInput(
            f"predictions for '{predictions.dataset}' cannot be kept (columns differ in length, or a row stands there"
            " twice); give a target, a prediction and a name of its own for each row"
        )
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(f"{_PROBABILITY}{name}" for name in classes)])
    writer.writerows(zip(rows, *map(_texts, columns[1:]), strict=True))
    return text.getvalue()


def _texts(column: Iterable[Any]) -> Iterator[str]:
    return map(as_text, column)


def _read(client: Client, key: str) -> bytes:
    return b"".join(client.artifacts.read(key))


def _unreadable(run: Run, cause: str) -> Corrupt:
    return Corrupt(f"predictions of run '{run.run_id}' cannot be read ({cause}); evaluate the model again")
