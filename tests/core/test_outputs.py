"""What values are worth: metrics, histories, figures, documents and models."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.linear_model import LinearRegression

from ratoon.hookspecs import hookimpl
from ratoon.manager import make_manager
from ratoon.settings import load_settings
from ratoon.tracking.client import Client
from ratoon.tracking.drawing import figure_bytes, figure_forms
from ratoon.tracking.locations import artifact_key
from ratoon.tracking.outputs import Description, describe
from ratoon.tracking.recording import log_output

MANAGER = make_manager(installed=False)


def found(value: object) -> Description:
    description = describe(MANAGER, "value", value)
    assert description is not None
    return description


def histories(value: object) -> dict[str, tuple[list[int], list[float]]]:
    return {key: (list(each.steps), list(each.values)) for key, each in found(value).histories.items()}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (0.5, 0.5),
        (math.inf, math.inf),
        pytest.param(-(10**400), -math.inf, id="huge"),
        (Decimal("1.5"), 1.5),
        (Fraction(1, 4), 0.25),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.array(2.5), 2.5),
    ],
)
def test_numbers_of_any_kind_are_metrics(value: object, number: float) -> None:
    assert found(value) == Description(metrics={"": number})


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        np.bool_(True),
        np.array(True),
        b"x",
        1j,
        np.timedelta64(3, "s"),
        Decimal("sNaN"),
        "",
        {},
        [],
        object(),
    ],
)
def test_what_is_worth_nothing(value: object) -> None:
    assert describe(MANAGER, "value", value) is None


def test_mappings_of_numbers_are_flattened() -> None:
    report = {"accuracy": 0.9, "macro": {"precision": np.float64(0.8), "by_class": {"a": 1, "b": Decimal(2)}}}
    assert found(report).metrics == {
        "accuracy": 0.9,
        "macro.precision": 0.8,
        "macro.by_class.a": 1.0,
        "macro.by_class.b": 2.0,
    }


@pytest.mark.parametrize(
    "value",
    [
        {"accuracy": 0.9, "model": "tree"},
        {"accuracy": 0.9, "passed": True},
        {"accuracy": 0.9, "folds": {}},
        {str(number): number for number in range(201)},
        {1: 0.5},
    ],
)
def test_a_mapping_with_anything_else_or_too_much_is_a_document(value: Any) -> None:
    description = found(value)
    assert not description.metrics
    assert description.document == {str(key): each for key, each in value.items()}


def test_a_list_of_floats_is_a_history() -> None:
    assert histories([0.5, 0.25, math.inf]) == {"": ([0, 1, 2], [0.5, 0.25, math.inf])}
    assert histories((np.float32(0.5), 0.25)) == {"": ([0, 1], [0.5, 0.25])}


@pytest.mark.parametrize("value", [[1, 2, 3], [0.5], [0.5, 1], [0.5, "x"], {"a": [1, 2], "b": [3, 4]}])
def test_other_lists_are_documents(value: Any) -> None:
    assert found(value) == Description(document=value)


def test_the_history_of_a_fit_has_one_metric_a_column() -> None:
    fit = {"loss": [0.5, 0.25], "val_loss": np.array([0.75, 0.5]), "lr": [1, 1]}
    assert histories(fit) == {"loss": ([0, 1], [0.5, 0.25]), "val_loss": ([0, 1], [0.75, 0.5]), "lr": ([0, 1], [1, 1])}
    assert histories({"epoch": [1, 3], "loss": [0.5, 0.25]}) == {"loss": ([1, 3], [0.5, 0.25])}


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"Epoch": [1, 2, 4], "loss": [3.0, 2.0, 1.0]}),
        pd.DataFrame({"loss": [3, 2, 1]}, index=pd.Index([1, 2, 4], name="step")),
    ],
)
def test_a_table_with_steps_is_a_history(frame: pd.DataFrame) -> None:
    before = frame.copy()
    assert histories(frame) == {"loss": ([1, 2, 4], [3.0, 2.0, 1.0])}
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"loss": [3.0, 2.0]}),
        pd.DataFrame({"step": [1, 1], "loss": [3.0, 2.0]}),
        pd.DataFrame({"step": [1, 2], "note": ["a", "b"]}),
        pd.DataFrame({"step": [1.5, 2.5], "loss": [3.0, 2.0]}),
        pd.DataFrame({"step": [1], "loss": [3.0]}),
        pd.DataFrame({"step": range(200_000), "loss": 0.5}),
        np.zeros(5),
        pd.Series([0.5, 0.25]),
    ],
)
def test_other_tables_and_arrays_are_data(frame: object) -> None:
    assert describe(MANAGER, "value", frame) is None


def a_plotly_figure() -> Any:
    import plotly.graph_objects as go

    return go.Figure(go.Scatter(y=[1, 2]))


def an_altair_chart() -> Any:
    import altair

    return altair.Chart(pd.DataFrame({"x": [1, 2]})).mark_point().encode(x="x")


@pytest.mark.parametrize(
    ("make", "beginnings"),
    [
        (Figure, {"png": b"\x89PNG"}),
        (lambda: Figure().subplots(), {"png": b"\x89PNG"}),
        (a_plotly_figure, {"json": b'{"data":', "html": b"<!doctype html>"}),
        (an_altair_chart, {"json": b"{\n"}),
        (lambda: Image.new("RGB", (2, 2)), {"png": b"\x89PNG"}),
        (lambda: Image.new("CMYK", (2, 2)), {"png": b"\x89PNG"}),
    ],
)
def test_figures_and_pictures_are_kept_in_their_forms(make: Callable[[], Any], beginnings: dict[str, bytes]) -> None:
    figure = make()
    assert found(figure) == Description(figures={"": figure})
    assert figure_forms(figure) == tuple(beginnings)
    for form, beginning in beginnings.items():
        assert figure_bytes(figure, f"figure.{form}", {}).lower().startswith(beginning.lower())


def test_a_figure_is_as_it_was_after_it_was_drawn() -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(2, 3), dpi=50, facecolor="red")
    try:
        before = (figure.dpi, tuple(figure.get_size_inches()), figure.get_facecolor(), type(figure.canvas))
        assert figure_bytes(axes, "figure.png", {}) == figure_bytes(figure, "figure.png", {})
        after = (figure.dpi, tuple(figure.get_size_inches()), figure.get_facecolor(), type(figure.canvas))
        assert after == before
        assert pyplot.fignum_exists(figure.number)
    finally:
        pyplot.close(figure)


def test_figures_and_models_in_lists_and_mappings() -> None:
    roc, curve = Figure(), Figure()
    assert found({"roc": roc, "curve": curve}).figures == {"roc": roc, "curve": curve}
    assert found([roc]).figures == {"0": roc}
    north, south = LinearRegression(), LinearRegression()
    assert found(north) == Description(model=north)
    assert found({"north": north, "south": south}).models == {"north": north, "south": south}
    assert found([north, south]).models == {"0": north, "1": south}
    assert describe(MANAGER, "value", {"north": north, "figure": roc}) is None
    assert describe(MANAGER, "value", [LinearRegression() for _ in range(21)]) is None


def test_documents_are_copies_that_json_can_hold() -> None:
    from datetime import date

    inner = {"when": date(2026, 1, 2), "where": Path("a/b"), "values": np.array([1, 2]), "nan": math.nan}
    description = found({"inner": inner, "pair": (1, None)})
    assert description.document == {
        "inner": {"when": "2026-01-02", "where": str(Path("a/b")), "values": [1, 2], "nan": None},
        "pair": [1, None],
    }
    assert found("some text") == Description(document="some text")


def test_what_is_too_large_too_deep_or_foreign_is_no_document() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for value in (circle, ["x" * 70_000], "x" * 70_000, [object()], {object(): 1}, [10**1000]):
        assert describe(MANAGER, "value", value) is None


def test_an_installed_plugin_wins() -> None:
    mine = Description(metrics={"mine": 1.0})

    @hookimpl
    def describe_output(name: str, value: object) -> Description | None:
        return mine if name == "special" else None

    manager = make_manager([SimpleNamespace(describe_output=describe_output)], installed=False)
    assert describe(manager, "special", [0.5, 0.25]) is mine
    assert describe(manager, "other", 3) == Description(metrics={"": 3.0})


def test_looking_at_a_value_costs_little_and_never_more_for_more() -> None:
    values = [
        0.5,
        {"a": 1.0},
        object(),
        np.zeros(1_000_000),
        [0.5] * 1_000_000,
        {str(each): 1 for each in range(10**5)},
    ]
    for value in values:
        describe(MANAGER, "value", value)
        fastest = math.inf
        for _ in range(5):
            begin = time.perf_counter()
            describe(MANAGER, "value", value)
            fastest = min(fastest, time.perf_counter() - begin)
        assert fastest < 0.05


def test_no_library_is_imported_to_look_at_a_value() -> None:
    script = """
import sys
from ratoon.manager import make_manager
from ratoon.tracking.outputs import describe
manager = make_manager(installed=False)
for value in (1, 0.5, {"a": 1}, {"a": {"b": "c"}}, [0.5, 0.25], "text", object(), {"x": [0.5, 1.0]}):
    describe(manager, "value", value)
heavy = {"numpy", "pandas", "polars", "matplotlib", "plotly", "PIL", "altair", "sklearn", "torch"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_about_a_value_is_logged_with_one_call(tmp_path: Path) -> None:
    client = Client(load_settings(tmp_path, {}))
    with client.start_run() as run:
        log_output(run, "score", 0.5)
        log_output(run, "fit", {"loss": [0.5, 0.25]})
        log_output(run, "curve", {"roc": Figure(figsize=(1, 1))})
        log_output(run, "notes", {"best": "tree"})
        assert log_output(run, "nothing", object()) is None
    stored = client.tracking.get_run(run.run_id)
    assert {key: (each.step, each.value) for key, each in stored.metrics.items()} == {
        "score": (0, 0.5),
        "fit.loss": (1, 0.25),
    }
    root = artifact_key(stored.artifact_uri)
    assert b"".join(client.artifacts.read(f"{root}/figures/curve.roc.png")).startswith(b"\x89PNG")
    assert b"tree" in b"".join(client.artifacts.read(f"{root}/values/notes.json"))
