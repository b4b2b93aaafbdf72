"""``ratoon evaluate``: how good a model is on the rows of a file, alone or beside the champion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ratoon.cli.output import client_of, json_option, print_json, print_table
from ratoon.cli.trusting import trust_option
from ratoon.errors import InvalidInput, MissingExtra
from ratoon.evaluation.evaluating import evaluate as evaluate_model
from ratoon.evaluation.values import Difference, Evaluation

_TASKS = ("binary", "multiclass", "regression")
_PARQUET = (".parquet", ".pq")
_CSV = (".csv", ".csv.gz", ".tsv")


@click.command
@click.argument("model_uri")
@click.argument("data")
@click.option("--targets", required=True, metavar="COLUMN", help="The column that holds what is true.")
@click.option("--segment", "segments", multiple=True, metavar="COLUMN", help="Also by the values of this column.")
@click.option("--champion", metavar="URI", help="Another model, evaluated on the same rows.")
@click.option("--task", type=click.Choice(_TASKS), help="What the model is asked for; found out if not given.")
@click.option("--pos-label", metavar="CLASS", help="The positive one of two classes; the last one if not given.")
@click.option("--weights", metavar="COLUMN", help="The column that says how much each row counts.")
@click.option("--minimum-rows", default=30, show_default=True, help="Segments with fewer rows are marked.")
@click.option("--no-figures", is_flag=True, help="Draw nothing.")
@trust_option
@json_option
@click.pass_context
def evaluate(ctx: click.Context, /, model_uri: str, data: str, as_json: bool, **options: Any) -> None:
    """Evaluate MODEL_URI, models:/iris/3 for example, on the rows of the file DATA (CSV or Parquet)."""
    table = read_table(Path(data))
    figures = False if options.pop("no_figures") else None
    found = evaluate_model(
        model_uri,
        table,
        dataset=str(Path(data).absolute()),
        client=client_of(ctx),
        figures=figures,
        **options,
    )
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)


def read_table(path: Path) -> Any:
    """The table in a file.

    Raises:
        InvalidInput: It is not there, no table, or of another kind.
        MissingExtra: What reads it is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("an evaluation", "evaluation", error.name or "pandas") from error
    if not path.is_file():
        raise InvalidInput(f"file '{path}' does not exist; give a CSV or Parquet file")
    name = path.name.lower()
    try:
        if name.endswith(_PARQUET):
            return pd.read_parquet(path)
        if name.endswith(_CSV):
            return pd.read_csv(path, sep="\t" if name.endswith(".tsv") else ",")
    except ImportError as error:
        raise InvalidInput(f"file '{path}' is Parquet and nothing here reads it; pip install pyarrow") from error
    except (ValueError, OSError) as error:  # pandas' parser errors and those of Arrow are ValueErrors
        raise InvalidInput(f"file '{path}' cannot be read as a table ({error}); correct it") from error
    raise InvalidInput(f"file '{path}' is of an unknown kind; give one that ends in {', '.join((*_CSV, *_PARQUET))}")


def _print(found: Evaluation) -> None:
    click.echo(f"{found.model} on {found.rows} rows of {found.dataset} ({found.digest[:8]}), {found.task}")
    columns = ["segment", "rows>", "metric", "value>"]
    if found.comparison is not None:
        columns = ["segment", "rows>", "metric", "value>", f"{found.comparison.champion}>", "difference>", "better"]
    print_table(columns, _lines(found), empty="no metric can be computed")
    for note in found.notes:
        click.echo(f"note: {note}")
    click.echo(f"kept with run {found.run_id}")


def _lines(found: Evaluation) -> Iterator[list[object]]:
    if found.comparison is None:
        for metric, value in found.metrics.items():
            yield ["", found.rows, metric, value]
        for segment in found.segments:
            for metric, value in segment.metrics.items():
                yield [f"{segment.column}={segment.value}", _rows(segment.rows, segment.few), metric, value]
        return
    for metric, each in found.comparison.metrics.items():
        yield ["", found.rows, metric, *_cells(each)]
    for part in found.comparison.segments:
        for metric, each in part.metrics.items():
            yield [f"{part.column}={part.value}", _rows(part.rows, part.few), metric, *_cells(each)]


def _rows(rows: int, few: bool) -> str:
    return f"{rows} (few)" if few else str(rows)


def _cells(each: Difference) -> list[object]:
    return [each.candidate, each.champion, each.difference, each.better]
