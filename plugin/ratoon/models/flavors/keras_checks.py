"""Looks through a ``.keras`` archive for what would run code, or read other files, while it is loaded.

Keras has a safe mode of its own. It has been got around several times, and differs from version to version, so what an
archive asks for is compared with a list of what is known to be data: layers and functions of Keras itself. h5py is
imported on use.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from ratoon.errors import Corrupt, RatoonError, Untrusted
from ratoon.models.needs import mappings_in

MAX_CONFIG_BYTES = 256 * 1024 * 1024
_CONFIG = "config.json"
_WEIGHTS = "model.weights.h5"
_RECORDS = re.compile(r"metadata\.json|config\.json|model\.weights\.h5|assets/[\w./-]*")

_ROOMS = re.compile(
    r"keras(\.src)?(\.(activations|constraints|dtype_policies|initializers|layers|losses|metrics|models|ops|optimizers"
    r"|quantizers|random|regularizers)(\.\w+)*|\.backend\.\w+\.optimizers(\.\w+)*)?"
)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_VALUES = frozenset("__keras_tensor__ __tensor__ __numpy__ __bytes__ __ellipsis__ __slice__ __tuple__".split())
# Each holds, or loads from elsewhere, a program in a form of its own.
_PROGRAMS = frozenset(
    "Lambda __lambda__ __typespec__ TFSMLayer JaxLayer FlaxLayer TorchModuleWrapper PyDataset get_file".split()
)
# A list of words, or the path of a file that is read when the layer is made.
_PATHS = frozenset({"vocabulary", "idf_weights", "filepath", "file_path", "filename"})


class Custom(Struct, frozen=True):
    """A class or function that is not Keras's own.

    Attributes:
        name: How it is called where it was defined.
        registered: The name under which Keras looks it up.
        module: The module that the archive names; None if it names none.
    """

    name: str
    registered: str
    module: str | None


def check_archive(path: Path) -> tuple[Custom, ...]:
    """Look through the archive.

    Returns:
        The classes and functions that somebody must vouch for, each once.

    Raises:
        Untrusted: It holds what would run code, or read a file that is not in it.
        Corrupt: It is no such archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_records(path, archive)
            found = tuple(dict.fromkeys(_customs(path, json.loads(archive.read(_CONFIG)))))
            with archive.open(_WEIGHTS) as weights:
                _check_weights(path, weights)
    except RatoonError:
        raise
    except Exception as error:  # the readers of JSON, zip and HDF5 raise anything on a crafted file
        raise Corrupt(
            f"file '{path}' is no .keras archive ({type(error).__name__}: {error}); fetch or save the model again"
        ) from error
    return found


def _check_records(path: Path, archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    for name in names:
        if not _RECORDS.fullmatch(name) or ".." in name.split("/"):
            raise _refusal(path, f"it has the record {name!r}")
    if len(set(names)) != len(names):
        raise _refusal(path, "it has two records of one name")
    if archive.getinfo(_CONFIG).file_size > MAX_CONFIG_BYTES:
        raise _refusal(path, "its configuration is too large")


def _customs(path: Path, config: Any) -> Iterator[Custom]:
    for entry in mappings_in(config):
        name, inner = entry.get("class_name"), entry.get("config")
        for key in _PATHS.intersection(entry):
            if isinstance(entry[key], str):
                raise _refusal(path, f"a layer reads the file {entry[key]!r}")
        if name is None or name in _VALUES:
            continue
        called = inner if name == "function" else name
        if not isinstance(called, str) or called in _PROGRAMS:
            raise _refusal(path, f"it holds a {called if isinstance(called, str) else 'function'!r}")
        module = entry.get("module")
        if not (isinstance(module, str) and _ROOMS.fullmatch(module) and _IDENTIFIER.fullmatch(called)):
            registered = entry.get("registered_name")
            yield Custom(called, registered if isinstance(registered, str) else called, _text(module))


def _text(value: Any) -> str | None:
    # Functions of the user's are written with this module, whatever theirs is.
    return value if isinstance(value, str) and value != "builtins" else None


def _check_weights(path: Path, file: Any) -> None:
    """HDF5 can point to other files, by links and by datasets that are kept elsewhere."""
    import h5py

    with h5py.File(file, "r") as weights:
        waiting = [weights]
        while waiting:
            group = waiting.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise _refusal(path, f"its weights {name!r} are in another place")
                item = group[name]
                if isinstance(item, h5py.Group):
                    waiting.append(item)
                elif item.external or item.is_virtual:
                    raise _refusal(path, f"its weights {name!r} are in another file")


def _refusal(path: Path, cause: str) -> Untrusted:
    return Untrusted(
        f".keras archive '{path}' is not loaded ({cause}, and could run code or read other files by that); "
        'if you know who made it, load it with trust="code" or --trust code'
    )
