"""The ``MLmodel`` file: what a folder holds and which flavors read it, with the keys of MLflow.

Only plain YAML is read: no tags, no anchors and aliases (a few hundred bytes of which can mean gigabytes), one mebibyte
at most.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import yaml
from msgspec import Struct, field

from ratoon.errors import Corrupt, InvalidInput

FILE_NAME = "MLmodel"
MAX_BYTES = 1024 * 1024
# How to change it is told in docs/models.md; a model of each number lies in tests/core/models/formats.
FORMAT = 1


class ModelInfo(Struct, frozen=True, kw_only=True):
    """What an MLmodel file says.

    Attributes:
        flavors: The configuration of each flavor that can read the model, by its name.
        artifact_path: Where the model is kept: a URI, or a path below a run's artifacts.
        model_id: The identifier of the model in the tracking store.
        model_uuid: An identifier of this very save.
        run_id: The run that made it.
        utc_time_created: ``YYYY-MM-DD HH:MM:SS.ffffff``, UTC.
        model_size_bytes: Size of the data files.
        signature: JSON strings under ``inputs``, ``outputs`` and ``params``, each or all None.
        saved_input_example_info: Which files hold the input example and how it was written.
        metadata: What the user wanted to be kept with the model.
        ratoon: What ratoon adds to the format: ``format`` and ``version``; None in a model that MLflow saved.
        extra: Keys that ratoon does not know; they are written back as they were read.
    """

    flavors: dict[str, dict[str, Any]]
    artifact_path: str | None = None
    model_id: str | None = None
    model_uuid: str | None = None
    run_id: str | None = None
    utc_time_created: str | None = None
    model_size_bytes: int | None = None
    signature: dict[str, Any] | None = None
    saved_input_example_info: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    ratoon: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


_KEYS = tuple(name for name in ModelInfo.__struct_fields__ if name != "extra")


def read_mlmodel(folder: Path) -> ModelInfo:
    """Read the MLmodel file of a folder.

    Raises:
        InvalidInput: There is none, so the folder is no model.
        Corrupt: It is too large, no plain YAML, or lacks what every MLmodel file has.
    """
    path = folder / FILE_NAME
    content = _parse(path, _read(path))
    if isinstance(content, dict) and content.get("utc_time_created") is not None:
        # Written without quotes, YAML reads it as a datetime, whose str() is the same text.
        content["utc_time_created"] = str(content["utc_time_created"])
    try:
        info = msgspec.convert(content, ModelInfo)
    except msgspec.ValidationError as error:
        raise Corrupt(f"file '{path}' is no MLmodel file ({error}); fetch or save the model again") from error
    if info.ratoon is not None and info.ratoon.get("format") != FORMAT:
        found = info.ratoon.get("format")
        raise Corrupt(f"file '{path}' has format {found!r} (known is {FORMAT}); update ratoon")
    extra = {key: value for key, value in content.items() if key not in _KEYS}
    return msgspec.structs.replace(info, extra=extra)


def write_mlmodel(info: ModelInfo, folder: Path) -> None:
    """Write the MLmodel file into a folder, keys sorted.

    Raises:
        InvalidInput: It would be too large to be read again, or holds values that YAML has no plain form for.
    """
    known = {key: value for key in _KEYS if (value := getattr(info, key)) is not None}
    path = folder / FILE_NAME
    try:
        text = yaml.dump({**info.extra, **known}, Dumper=_PlainDumper, sort_keys=True, allow_unicode=True)
    except (yaml.YAMLError, RecursionError, TypeError) as error:
        raise InvalidInput(
            f"file '{path}' cannot be written (a value has no plain YAML form); keep metadata to "
            "mappings with text keys, lists, strings, numbers, booleans and None"
        ) from error
    content = text.encode()
    if len(content) > MAX_BYTES:
        raise InvalidInput(
            f"file '{path}' would have {len(content):,} bytes (limit {MAX_BYTES:,}); shorten the metadata, or "
            "give arrays instead of data frames so that the signature does not list every column"
        )
    path.write_bytes(content)


def data_file(folder: Path, name: object) -> Path:
    """The path of a file that an MLmodel file names.

    Raises:
        Corrupt: The name leads out of the folder, or there is no such file.
    """
    path = data_path(folder, name)
    if not path.is_file():
        raise Corrupt(f"file '{name}' of the model in '{folder}' is missing; fetch or save the model again")
    return path


def data_folder(folder: Path, name: object) -> Path:
    """The path of a folder that an MLmodel file names.

    Raises:
        Corrupt: The name leads out of the model's folder, or there is no such folder.
    """
    path = data_path(folder, name)
    if not path.is_dir():
        raise Corrupt(f"folder '{name}' of the model in '{folder}' is missing; fetch or save the model again")
    return path


def data_path(folder: Path, name: object) -> Path:
    """The path of a file or folder that an MLmodel file names, whether it exists or not.

    Raises:
        Corrupt: The name leads out of the model's folder.
    """
    if not isinstance(name, str) or not name:
        raise Corrupt(f"file '{folder / FILE_NAME}' does not say which file holds the model; save the model again")
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or "\\" in name:
        raise Corrupt(f"file '{folder / FILE_NAME}' names {name!r}, which is outside the model; do not load it")
    return folder / relative


class _PlainDumper(yaml.SafeDumper):
    """Writes an object that occurs twice twice: aliases are refused on reading."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _read(path: Path) -> str:
    if path.is_symlink():
        raise Corrupt(f"file '{path}' is a symlink; do not load it")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidInput(
            f"folder '{path.parent}' is no model (it has no file '{path.name}'); "
            "give the folder that a model was saved in"
        ) from error
    if len(content) > MAX_BYTES:
        raise Corrupt(f"file '{path}' is too large (more than {MAX_BYTES:,} bytes); do not load it")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Corrupt(f"file '{path}' is damaged (not UTF-8); fetch or save the model again") from error


def _parse(path: Path, text: str) -> Any:
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
                raise Corrupt(
                    f"file '{path}' has a YAML anchor or alias in line {token.start_mark.line + 1} "
                    "(they can blow up in memory); write the value out"
                )
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: YAML's timestamps and integers are converted by Python, which refuses month 13 or 5,000 digits.
        raise Corrupt(
            f"file '{path}' is no plain YAML ({type(error).__name__}); fetch or save the model again"
        ) from error
