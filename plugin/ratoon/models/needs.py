"""What each file of a model would make a load do, told without loading anything.

By default a file is judged by what it is: a pickle runs code, an archive of skops makes the types it names, numbers are
numbers. A flavor that knows better says so (:class:`ShowsNeeds`). This is for people who decide whom to trust: what is
really allowed is decided when a model is loaded, by the same policy and not by what is found here.
"""

from __future__ import annotations

import json
import pickletools
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from ratoon.errors import MissingExtra
from ratoon.models.imported import names_in_pickle
from ratoon.models.trust import TrustLevel

_MAX_BYTES = 256 * 1024 * 1024


class Need(Struct, frozen=True, kw_only=True):
    """What a load does with one file.

    Attributes:
        file: Its path below the model's folder, with forward slashes.
        format: What it is, in a word or two.
        level: How far who made it must be trusted.
        reason: Why it must; empty if it is only data.
        names: Types that are made, modules and functions that are imported, layers that hold code.
    """

    file: str
    format: str
    level: TrustLevel = TrustLevel.DATA
    reason: str = ""
    names: tuple[str, ...] = ()


@runtime_checkable
class ShowsNeeds(Protocol):
    """A flavor that knows more about its files than their bytes tell; a flavor need not be one."""

    def needs(self, folder: Path, config: Mapping[str, Any]) -> Iterable[Need]:
        """What a load of this model does with its files.

        Nothing may be loaded to find out. Files that are not named are judged by what they are.

        Args:
            folder: The model; nothing in it was verified.
            config: What stands under the flavor's name in the MLmodel file.
        """


def need_of(folder: Path, name: str) -> Need:
    """What a load does with a file, judged by its name and its bytes."""
    path = folder / name
    for applies, judge in _JUDGES:
        if applies(path):
            try:
                return judge(path, name)
            except (OSError, ValueError, KeyError, RecursionError, zipfile.BadZipFile) as error:
                return Need(
                    file=name, format="damaged", level=TrustLevel.CODE, reason=f"it cannot be looked through ({error})"
                )
    return Need(file=name, format=path.suffix.lstrip(".") or "data")


def pickle_need(content: bytes, name: str, form: str = "pickle") -> Need:
    """What unpickling these bytes does: anything at all."""
    try:
        names = names_in_pickle(content)
    except Exception:  # pickletools raises whatever the bytes lead it to
        names = ["?"]
    return Need(file=name, format=form, level=TrustLevel.CODE, reason="a pickle runs any code", names=tuple(names))


def _is_pickle(path: Path) -> bool:
    if path.suffix in (".pkl", ".pickle", ".joblib", ".dill"):
        return True
    with path.open("rb") as file:
        head = file.read(2)
    if head[:1] == b"\x80" and head[1:] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return _is_complete_pickle(path)
    return False


def _is_complete_pickle(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            for _ in pickletools.genops(file):
                pass
    except Exception:  # pickletools raises whatever the bytes lead it to
        return False
    return True


def _judge_pickle(path: Path, name: str) -> Need:
    return pickle_need(path.read_bytes(), name)


def _judge_python(path: Path, name: str) -> Need:
    return Need(file=name, format="Python", level=TrustLevel.CODE, reason="a script is run, or can be imported")


def _judge_npy(path: Path, name: str) -> Need:
    with path.open("rb") as file:
        holds_objects = _holds_objects(file.read(4096))
    return _array_need(name, "NumPy array", [path.name] if holds_objects else [])


def _judge_npz(path: Path, name: str) -> Need:
    with zipfile.ZipFile(path) as archive:
        found = [member for member in archive.namelist() if _holds_objects(_start(archive, member))]
    return _array_need(name, "NumPy arrays", found)


def _array_need(name: str, form: str, with_objects: list[str]) -> Need:
    if not with_objects:
        return Need(file=name, format=form)
    reason = "an array of objects is a pickle, which runs any code"
    return Need(file=name, format=form, level=TrustLevel.CODE, reason=reason, names=tuple(with_objects))


def _holds_objects(start: bytes) -> bool:
    return start.startswith(b"\x93NUMPY") and b"O" in start[10:].partition(b"fortran_order")[0].partition(b"descr")[2]


def _start(archive: zipfile.ZipFile, member: str) -> bytes:
    with archive.open(member) as file:
        return file.read(4096)


def _judge_skops(path: Path, name: str) -> Need:
    from ratoon.models.flavors.skops_format import KNOWN_TYPES, skops_io

    try:
        untrusted: Iterable[str] = skops_io().get_untrusted_types(file=path)
    except MissingExtra:
        untrusted = _types_in_skops(path)
    except Exception as error:  # skops raises whatever a crafted file leads it to
        raise ValueError(error) from error
    names = tuple(sorted(set(untrusted) - KNOWN_TYPES))
    if not names:
        return Need(file=name, format="skops")
    reason = "it holds types that ratoon does not know"
    return Need(file=name, format="skops", level=TrustLevel.TYPES, reason=reason, names=names)


def _types_in_skops(path: Path) -> set[str]:
    """Every type that the archive names, for a machine on which skops is not installed to tell which are harmless."""
    with zipfile.ZipFile(path) as archive:
        plain = json.loads(_read(archive, "schema.json"))
    return {
        f"{thing['__module__']}.{thing['__class__']}"
        for thing in mappings_in(plain)
        if {"__module__", "__class__"} <= thing.keys()
    }


def _judge_keras(path: Path, name: str) -> Need:
    with zipfile.ZipFile(path) as archive:
        plain = json.loads(_read(archive, "config.json"))
    layers = [thing for thing in mappings_in(plain) if isinstance(thing.get("class_name"), str)]
    code = sorted({each["class_name"] for each in layers if each["class_name"] in ("Lambda", "__lambda__")})
    if code:
        reason = "a Lambda layer holds the bytecode of a function"
        return Need(file=name, format="Keras archive", level=TrustLevel.CODE, reason=reason, names=tuple(code))
    foreign = sorted({f"{each['module']}.{each['class_name']}" for each in layers if _is_foreign(each)})
    if foreign:
        reason = "it holds layers that are not Keras's own"
        return Need(file=name, format="Keras archive", level=TrustLevel.TYPES, reason=reason, names=tuple(foreign))
    return Need(file=name, format="Keras archive")


def _is_foreign(layer: Mapping[str, Any]) -> bool:
    module = layer.get("module")
    return isinstance(module, str) and module.partition(".")[0] not in ("keras", "builtins")


def _judge_zip(path: Path, name: str) -> Need:
    """An archive of PyTorch's, for example: what matters are the pickles in it, and where it would be unpacked to."""
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        outside = [member for member in members if _leads_out(member)]
        pickles = [member for member in members if member.endswith(".pkl")]
        names = {found for member in pickles for found in pickle_need(_read(archive, member), name).names}
    if outside:
        reason = "names in it lead out of the folder that it is unpacked to"
        return Need(file=name, format="archive", level=TrustLevel.CODE, reason=reason, names=tuple(outside[:10]))
    if pickles:
        reason = "the pickle in it runs any code"
        return Need(
            file=name, format="archive with a pickle", level=TrustLevel.CODE, reason=reason, names=tuple(sorted(names))
        )
    return Need(file=name, format="archive")


def _leads_out(member: str) -> bool:
    path = PurePosixPath(member.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in member


def _read(archive: zipfile.ZipFile, member: str) -> bytes:
    """A member of an archive, unless it is too large to be honest."""
    if archive.getinfo(member).file_size > _MAX_BYTES:
        raise ValueError(f"'{member}' has more than {_MAX_BYTES:,} bytes")
    return archive.read(member)


def mappings_in(root: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a value of lists and mappings, however deep; the value itself, too, if it is one."""
    waiting = [root]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, dict):
            yield thing
            waiting.extend(thing.values())
        elif isinstance(thing, list):
            waiting.extend(thing)


def _ends(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.suffix in suffixes


_JUDGES: tuple[tuple[Callable[[Path], bool], Callable[[Path, str], Need]], ...] = (
    (_ends(".skops"), _judge_skops),
    (_ends(".keras"), _judge_keras),
    (_ends(".npy"), _judge_npy),
    (_ends(".npz"), _judge_npz),
    (_ends(".py", ".pyc"), _judge_python),
    (_is_pickle, _judge_pickle),
    (zipfile.is_zipfile, _judge_zip),
)
