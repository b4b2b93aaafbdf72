"""Figures, pictures, tables and streams that are kept with a run."""

from __future__ import annotations

import io
import json
import logging
import math
import re
import struct
import sys
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import plotly.graph_objects as plotly
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ratoon.errors import InvalidInput
from ratoon.tracking.client import Client
from ratoon.tracking.run import ActiveRun

matplotlib.use("agg")


@pytest.fixture
def run(client: Client) -> ActiveRun:
    return client.start_run()


def names(run: ActiveRun, folder: str = "") -> list[str]:
    root = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    return [found.path for found in run.client.artifacts.list(f"{root}/{folder}".strip("/"))]


def content(run: ActiveRun, path: str) -> bytes:
    root = run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    return b"".join(run.client.artifacts.read(f"{root}/{path}"))


def picture(run: ActiveRun, path: str) -> Image.Image:
    return Image.open(io.BytesIO(content(run, path)))


def tags(run: ActiveRun) -> dict[str, str]:
    run.flush()
    return dict(run.client.tracking.get_run(run.run_id).tags)


def test_a_stream_is_kept(run: ActiveRun) -> None:
    run.log_stream(io.BytesIO(b"abc"), "deep/a.bin")
    assert content(run, "deep/a.bin") == b"abc"
    with pytest.raises(InvalidInput, match="artifact path '../up' is not allowed"):
        run.log_stream(io.BytesIO(b"abc"), "../up")


def test_a_figure_of_matplotlib_is_kept_in_the_form_of_its_name(run: ActiveRun) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2])
    run.log_figure(figure, "plots/a.png", dpi=50)
    run.log_figure(figure, "a.svg")
    run.log_figure(figure, "plain")
    assert picture(run, "plots/a.png").size == (320, 240)
    assert b"<svg" in content(run, "a.svg")
    assert content(run, "plain").startswith(b"\x89PNG")
    with pytest.raises(InvalidInput, match="figure 'a.docx' cannot be saved .*; choose another ending"):
        run.log_figure(figure, "a.docx")


def test_a_figure_of_plotly_is_kept_as_a_page_or_as_json(run: ActiveRun) -> None:
    figure = plotly.Figure(plotly.Scatter(y=[1, 2]))
    run.log_figure(figure, "a.html")
    run.log_figure(figure, "a.json")
    assert b"cdn.plot.ly" in content(run, "a.html")
    assert json.loads(content(run, "a.json"))["data"][0]["y"] == [1, 2]


def test_what_is_no_figure_is_refused(run: ActiveRun) -> None:
    with pytest.raises(InvalidInput, match="figure 'a.png' is of list; give one of Matplotlib or Plotly"):
        run.log_figure([1, 2], "a.png")


@pytest.mark.parametrize(
    ("image", "mode", "pixel"),
    [
        (np.full((2, 3), 7, "uint8"), "L", 7),
        (np.full((2, 3, 1), 7, "int64"), "L", 7),
        (np.full((2, 3, 3), 1.0), "RGB", (255, 255, 255)),
        (np.zeros((2, 3, 4), "float32"), "RGBA", (0, 0, 0, 0)),
        (np.ones((2, 3), bool), "L", 255),
        (Image.new("RGB", (3, 2), (1, 2, 3)), "RGB", (1, 2, 3)),
    ],
)
def test_pictures_are_kept(run: ActiveRun, image: Any, mode: str, pixel: Any) -> None:
    run.log_image(image, "a.png")
    found = picture(run, "a.png")
    found.load()
    assert (found.size, found.mode, found.getpixel((2, 1))) == ((3, 2), mode, pixel)


def test_other_forms_of_pictures_are_pillows(run: ActiveRun) -> None:
    run.log_image(np.zeros((2, 3, 3)), "a.jpg")
    run.log_image(Image.new("L", (3, 2)), "a.webp")
    assert picture(run, "a.jpg").format == "JPEG" and picture(run, "a.webp").format == "WEBP"
    with pytest.raises(InvalidInput, match="image 'a.what' cannot be saved"):
        run.log_image(Image.new("L", (3, 2)), "a.what")


def test_floats_beyond_one_are_scaled(run: ActiveRun, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run.log_image(np.array([[-1.0, 3.0]]), "a.png")
        run.log_image(np.array([[5.0, 5.0]]), "b.png")
    assert [record.getMessage() for record in caplog.records][
        0
    ] == "image 'a.png' reaches from -1 to 3 and is scaled to 0 … 1"
    assert picture(run, "a.png").tobytes() == b"\x00\xff"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("a.png", "is of str; give one of Pillow, or an array"),
        (np.zeros(3), "has the shape"),
        (np.zeros((0, 3)), "has the shape"),
        (np.zeros((2, 2, 2)), "has the shape"),
        (np.array([["a"]]), "has the shape"),
        (np.array([[256]]), "reaches from 256 to 256; give integers from 0 to 255"),
        (np.array([[math.nan]]), "holds NaN or an infinity"),
    ],
)
def test_what_is_no_picture_is_refused(run: ActiveRun, image: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"image 'a.png' {message}"):
        run.log_image(image, "a.png")


@pytest.mark.parametrize("image", [np.zeros((300, 600)), Image.new("RGB", (600, 300))], ids=["array", "pillow"])
def test_a_series_of_pictures_has_mlflows_names(run: ActiveRun, image: Any) -> None:
    run.log_image(image, key="val/mask", step=3, timestamp=5)
    small, large = sorted(names(run, "images"), key=len, reverse=True)
    assert re.fullmatch(r"val~mask\+step\+3\+timestamp\+5\+[0-9a-f-]{36}\.png", large)
    assert small == f"{large.removesuffix('.png')}+compressed.webp"
    assert picture(run, f"images/{large}").size == (600, 300)
    assert picture(run, f"images/{small}").size == (256, 128)
    assert tags(run)["mlflow.loggedImages"] == "True"


@pytest.mark.parametrize("given", [{}, {"key": "a", "artifact_file": "a.png"}, {"key": "a?"}, {"key": ""}])
def test_a_picture_needs_a_name_or_a_key(run: ActiveRun, given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="give either artifact_file or key|image key '.*' is not allowed"):
        run.log_image(np.zeros((2, 2)), **given)


def test_without_pillow_pictures_are_png(run: ActiveRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    run.log_image(np.zeros((2, 3), "uint8"), key="a")
    (name,) = names(run, "images")
    header = content(run, f"images/{name}")[16:24]
    assert struct.unpack(">II", header) == (3, 2)
    with pytest.raises(InvalidInput, match="image 'a.jpg' needs the package 'pillow'.* or choose the ending .png"):
        run.log_image(np.zeros((2, 3), "uint8"), "a.jpg")


@pytest.mark.parametrize(
    "data",
    [
        {"question": ["a", "b"], "score": (1, math.nan)},
        {"question": np.array(["a", "b"]), "score": pd.Series([1.0, None])},
        pd.DataFrame({"question": ["a", "b"], "score": [1.0, math.nan]}),
    ],
)
def test_tables_are_kept_as_columns_and_rows(run: ActiveRun, data: Any) -> None:
    run.log_table(data, "tables/eval.json")
    found = content(run, "tables/eval.json")
    assert json.loads(found) == {"columns": ["question", "score"], "data": [["a", 1], ["b", None]]}
    frame = pd.read_json(io.BytesIO(found), orient="split")  # as mlflow.load_table does
    assert list(frame.columns) == ["question", "score"] and len(frame) == 2


def test_a_table_grows(run: ActiveRun) -> None:
    run.log_table({"a": 1, "b": [2]}, "t.json")
    run.log_table({"c": np.float32(0.5), "a": "x"}, "t.json")
    assert json.loads(content(run, "t.json")) == {"columns": ["a", "b", "c"], "data": [[1, 2, None], ["x", None, 0.5]]}
    run.log_table({"a": 1}, "u.json")
    listed = json.loads(tags(run)["mlflow.loggedArtifacts"])
    assert listed == [{"path": "t.json", "type": "table"}, {"path": "u.json", "type": "table"}]


def test_what_is_no_table_is_refused(run: ActiveRun) -> None:
    run.log_text("[]", "text.json")
    for data, name, message in (
        ([1], "t.json", "a table cannot be made of list; give a DataFrame, or columns by name"),
        ({"a": [1], "b": [1, 2]}, "t.json", r"the columns of a table differ in length \(a: 1, b: 2\)"),
        ({"a": 1}, "t.csv", "table 't.csv' has another ending; give a name that ends in .json"),
        ({"a": 1}, "text.json", "file 'text.json' is no table; log the table under another name"),
    ):
        with pytest.raises(InvalidInput, match=message):
            run.log_table(data, name)
    assert names(run) == ["text.json"]
