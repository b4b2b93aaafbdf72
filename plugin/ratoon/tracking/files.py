"""Keeping files with a run: from the disk, and from values, figures, pictures and tables."""

from __future__ import annotations

import io
import json
import mimetypes
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from ratoon.artifacts.paths import check_path, join
from ratoon.clock import now_ms
from ratoon.entities import Run
from ratoon.errors import InvalidInput, NotFound
from ratoon.manager import notify
from ratoon.tracking.locations import artifact_key
from ratoon.tracking.progress import Transfer
from ratoon.tracking.writer import Tag

if TYPE_CHECKING:
    from ratoon.tracking.client import Client

_IMAGE_KEY = re.compile(r"[a-zA-Z0-9_\-./ ]+")


class FileLogging:
    """The part of a run that keeps files. A file is durable when the call returns."""

    client: Client
    run_id: str
    info: Run

    def log_artifact(self, local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Keep a file, or a folder with everything in it.

        Args:
            local_path: The file; a link in a folder is refused, since it could lead anywhere.
            artifact_path: The folder of the run's artifacts to put it in; their root if None.
        """
        path = Path(local_path)
        if path.is_dir():
            self.log_artifacts(path, join(artifact_path or "", path.name))
            return
        self._store_files(path.name, {path: join(artifact_path or "", path.name)})

    def log_artifacts(self, folder: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Keep everything that a folder holds, under the same names."""
        root = Path(folder)
        if not root.is_dir():
            raise InvalidInput(f"folder '{root}' does not exist; give one that does")
        places = {path: join(artifact_path or "", path.relative_to(root).as_posix()) for path in files_below(root)}
        self._store_files(root.absolute().name, places)

    def log_stream(self, stream: BinaryIO, artifact_file: str) -> None:
        """Keep what a binary stream yields, read piece by piece to its end."""
        check_path(artifact_file)
        self.client.artifacts.write(self._key(artifact_file), stream)
        notify(self.client.manager, "artifact_logged", run_id=self.run_id, path=artifact_file)

    def log_text(self, text: str, artifact_file: str) -> None:
        """Keep a text as a file, in UTF-8."""
        try:
            content = text.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(f"text '{artifact_file}' holds a lone surrogate; remove it, or log a file") from error
        self.log_stream(io.BytesIO(content), artifact_file)

    def log_dict(self, value: Mapping[str, Any] | list[Any], artifact_file: str) -> None:
        """Keep a value as a JSON file, or as YAML if the name ends so."""
        if mimetypes.guess_type(artifact_file)[0] == "application/yaml" or artifact_file.endswith((".yml", ".yaml")):
            import yaml

            text = yaml.safe_dump(value, sort_keys=False)
        else:
            text = _pretty(json.dumps(value, default=str))
        self.log_text(text, artifact_file)

    def log_figure(self, figure: Any, artifact_file: str, **options: Any) -> None:
        """Keep a figure of Matplotlib (PNG, SVG, PDF, …) or of Plotly (HTML, JSON, or a picture by way of Kaleido).

        Args:
            figure: The figure; it is not closed.
            artifact_file: Its ending says in which form.
            options: For the figure's own method: ``dpi`` of ``savefig``, ``include_plotlyjs`` of ``to_html``.
        """
        from ratoon.tracking.drawing import figure_bytes

        check_path(artifact_file)
        self.log_stream(io.BytesIO(figure_bytes(figure, artifact_file, options)), artifact_file)

    def log_image(
        self,
        image: Any,
        artifact_file: str | None = None,
        *,
        key: str | None = None,
        step: int = 0,
        timestamp: int | None = None,
    ) -> None:
        """Keep a picture: under a name, or as one of a series that has a key and grows with the steps.

        Args:
            image: An image of Pillow, or a NumPy array of height × width (× 1, 3 or 4 channels): integers up to 255,
                booleans, or floats up to 1.
            artifact_file: The name.
            key: The name of the series; either this or ``artifact_file``.
            step: Where in the training the picture lies.
            timestamp: Milliseconds since the epoch; now if None.
        """
        from ratoon.tracking.drawing import image_bytes, thumbnail_bytes

        if (key is None) == (artifact_file is None):
            raise InvalidInput("a picture needs a name or a key; give either artifact_file or key")
        if artifact_file is not None:
            check_path(artifact_file)
            self.log_stream(io.BytesIO(image_bytes(image, artifact_file)), artifact_file)
            return
        if not key or not _IMAGE_KEY.fullmatch(key):
            raise InvalidInput(f"image key {key!r} is not allowed; use letters, digits, spaces and the characters _-./")
        moment = now_ms() if timestamp is None else timestamp
        # MLflow's name: its page shows the pictures of a key by the steps that it reads from here.
        name = f"images/{key.replace('/', '~')}+step+{step}+timestamp+{moment}+{uuid.uuid4()}"
        self.log_stream(io.BytesIO(image_bytes(image, f"{name}.png")), f"{name}.png")
        small = thumbnail_bytes(image)
        if small is not None:
            self.log_stream(io.BytesIO(small), f"{name}+compressed.webp")
        self.client.writer.put(self.run_id, Tag("mlflow.loggedImages", "True"))

    def log_table(self, data: Any, artifact_file: str) -> None:
        """Keep a table as JSON; a table that is there under the same name gets the new rows at its end.

        Args:
            data: A pandas DataFrame, or a mapping of column names to lists of values or to single values.
            artifact_file: A name that ends in ``.json``.
        """
        from ratoon.tracking.tables import appended, table_of

        if not artifact_file.endswith(".json"):
            raise InvalidInput(f"table '{artifact_file}' has another ending; give a name that ends in .json")
        table = table_of(data)
        try:
            before = b"".join(self.client.artifacts.read(self._key(check_path(artifact_file))))
        except NotFound:
            before = b""
        self.log_text(appended(before, table, artifact_file), artifact_file)
        self._list_table(artifact_file)

    def _list_table(self, artifact_file: str) -> None:
        """Name the table in the tag from which MLflow's page learns of tables."""
        name, entry = "mlflow.loggedArtifacts", {"path": artifact_file, "type": "table"}
        self.client.writer.drain()
        listed = json.loads(self.client.tracking.get_run(self.run_id).tags.get(name, "[]"))
        if entry not in listed:
            self.client.writer.put(self.run_id, Tag(name, json.dumps([*listed, entry])))

    def _store_files(self, what: str, places: Mapping[Path, str]) -> None:
        with Transfer(what, size_of(places), self.client.settings) as transfer:
            for path, artifact_file in places.items():
                try:
                    with open(path, "rb") as stream:
                        self.log_stream(transfer.reading(stream), artifact_file)
                except OSError as error:
                    raise InvalidInput(f"file '{path}' cannot be read ({error.strerror}); give one that can") from error

    def _key(self, artifact_file: str) -> str:
        return join(artifact_key(self.info.artifact_uri), artifact_file)


def files_below(folder: Path) -> Iterable[Path]:
    """Every file of a folder and its subfolders, in order; InvalidInput at a link, which could lead anywhere."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise InvalidInput(f"folder '{folder}' holds the link '{path.relative_to(folder)}'; replace it by a copy")
        if path.is_file():
            yield path


def size_of(paths: Iterable[Path]) -> int:
    """How many bytes files have together; one that is not there has none."""
    size = 0
    for path in paths:
        with suppress(OSError):  # told when it is opened
            size += path.stat().st_size
    return size


def _pretty(text: str) -> str:
    """The same JSON on several lines; as it is if it holds NaN, which is no JSON."""
    try:
        return msgspec.json.format(text)
    except msgspec.DecodeError:
        return text
