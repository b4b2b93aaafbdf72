"""Figures and pictures as bytes.

Neither Matplotlib nor Plotly, Altair or Pillow is imported: what is given brings its own.
"""

from __future__ import annotations

import io
import logging
import struct
import sys
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ratoon.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

    Pixels = np.ndarray[Any, np.dtype[Any]]

THUMBNAIL = 256

# PNG's names for how many channels a pixel has: grey, colour, colour with opacity.
_COLOURS = {1: 0, 3: 2, 4: 6}
# Pillow's names for the pixels that it can write as PNG.
_PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")

# Where each library's classes are found once it is imported, and the files in which theirs are kept.
_FIGURES = (
    ("matplotlib.figure", ("Figure",), ("png",)),
    ("matplotlib.axes", ("Axes",), ("png",)),
    ("plotly.basedatatypes", ("BaseFigure",), ("json", "html")),
    ("PIL.Image", ("Image",), ("png",)),
    ("altair", ("TopLevelMixin",), ("json",)),
)

logger = logging.getLogger(__name__)


def figure_forms(value: object) -> tuple[str, ...]:
    """The endings of the files in which a figure or a picture is kept; empty if the value is none.

    A picture of a Plotly figure needs a browser that takes seconds to start, so it is none of them.
    """
    for module, names, forms in _FIGURES:
        library = sys.modules.get(module)
        kinds = tuple(kind for name in names if isinstance(kind := getattr(library, name, None), type))
        if kinds and isinstance(value, kinds):
            return forms
    return ()


def figure_bytes(figure: Any, artifact_file: str, options: Mapping[str, Any]) -> bytes:
    """A figure in the form that the name of its file asks for; it is neither closed nor changed."""
    form = PurePosixPath(artifact_file).suffix.removeprefix(".").lower() or "png"
    if hasattr(figure, "savefig"):
        return _of_matplotlib(figure, artifact_file, {"format": form, **options})
    if hasattr(getattr(figure, "figure", None), "savefig"):  # the axes of one
        return figure_bytes(figure.figure, artifact_file, options)
    if hasattr(figure, "to_plotly_json"):
        return _of_plotly(figure, form, options)
    if _is_picture(figure):
        return image_bytes(figure, artifact_file)
    if not hasattr(figure, "to_json") or not hasattr(figure, "to_html") or form not in ("json", "html"):
        raise InvalidInput(
            f"figure '{artifact_file}' is of {type(figure).__name__}; give one of Matplotlib or Plotly, or one of"
            " Altair for the endings .json and .html"
        )
    text: str = figure.to_json(**options) if form == "json" else figure.to_html(**options)
    return text.encode()


def _of_matplotlib(figure: Any, artifact_file: str, options: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    try:
        figure.savefig(stream, **options)
    except ValueError as error:
        raise InvalidInput(f"figure '{artifact_file}' cannot be saved ({error}); choose another ending") from error
    return stream.getvalue()


def _of_plotly(figure: Any, form: str, options: Mapping[str, Any]) -> bytes:
    if form == "html":
        html: str = figure.to_html(**{"include_plotlyjs": "cdn", **options})
        return html.encode()
    if form == "json":
        text: str = figure.to_json(**options)
        return text.encode()
    picture: bytes = figure.to_image(format=form, **options)
    return picture


def image_bytes(image: Any, artifact_file: str) -> bytes:
    """A picture of Pillow or NumPy in the form that the name of its file asks for."""
    form = PurePosixPath(artifact_file).suffix.removeprefix(".").lower() or "png"
    if not _is_picture(image):
        pixels = _pixels(image, artifact_file)
        if form == "png":
            return _png(pixels)
        image = _pillow_image(pixels, artifact_file)
    stream = io.BytesIO()
    try:
        if form == "png" and image.mode not in _PNG_MODES:
            image = image.convert("RGB")
        image.save(stream, format={"jpg": "jpeg"}.get(form, form))
    except (KeyError, OSError) as error:
        raise InvalidInput(f"image '{artifact_file}' cannot be saved ({error}); choose another ending") from error
    return stream.getvalue()


def thumbnail_bytes(image: Any) -> bytes | None:
    """A small WebP of the same picture; None where Pillow is not installed."""
    if _is_picture(image):
        small = image.copy()
    else:
        try:
            from PIL import Image
        except ImportError:
            return None
        small = Image.fromarray(_pixels(image, "thumbnail").squeeze())
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    small.save(stream, format="webp")
    return stream.getvalue()


def _is_picture(image: Any) -> bool:
    return hasattr(image, "thumbnail") and hasattr(image, "save")


def _pillow_image(pixels: np.ndarray[Any, Any], artifact_file: str) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        message = f"image '{artifact_file}' needs the package 'pillow'; pip install pillow, or choose the ending .png"
        raise InvalidInput(message) from error
    return Image.fromarray(pixels.squeeze())


def _pixels(image: Any, artifact_file: str) -> Pixels:
    """An array of height × width × channels, in bytes."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(image, numpy.ndarray):
        raise InvalidInput(f"image '{artifact_file}' is of {type(image).__name__}; give one of Pillow, or an array")
    pixels: Pixels = image[:, :, None] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[2] not in _COLOURS or not pixels.size or image.dtype.kind not in "buif":
        raise InvalidInput(
            f"image '{artifact_file}' has the shape {image.shape} and the type {image.dtype}; give numbers of"
            " height × width, or height × width × 1, 3 or 4"
        )
    if image.dtype.kind == "b":
        return pixels.astype("uint8") * 255
    low, high = pixels.min(), pixels.max()
    if image.dtype.kind == "f":
        if not numpy.isfinite(low) or not numpy.isfinite(high):
            raise InvalidInput(f"image '{artifact_file}' holds NaN or an infinity; replace them first")
        if low < 0 or high > 1:
            logger.warning("image '%s' reaches from %g to %g and is scaled to 0 … 1", artifact_file, low, high)
            pixels = (pixels - low) / (high - low or 1)
        return (pixels * 255).astype("uint8")
    if low < 0 or high > 255:
        raise InvalidInput(f"image '{artifact_file}' reaches from {low} to {high}; give integers from 0 to 255")
    return pixels.astype("uint8")


def _png(pixels: Pixels) -> bytes:
    """A PNG file (ISO/IEC 15948): eight bits a channel, no filter."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + pixels[row].tobytes() for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
