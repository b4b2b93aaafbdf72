"""The one loading policy: what a caller allows a model's files to do in this process.

Three levels. ``data`` is the default and runs no code: only formats that hold numbers and names of types we know are
read. ``trusted-types`` adds the types that the caller lists. ``trusted-code`` allows unpickling, and so anything at
all. A model's own files never widen the level: lists of trusted types that they carry are not looked at.

cloudpickle is imported on use.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, TypeAlias

from msgspec import Struct

from ratoon.errors import InvalidInput, RatoonError, Untrusted


class TrustLevel(StrEnum):
    """How far a caller trusts who made a model."""

    DATA = "data"
    TYPES = "trusted-types"
    CODE = "trusted-code"


class TrustPolicy(Struct, frozen=True):
    """A level, and the dotted names of the types that the caller vouches for."""

    level: TrustLevel = TrustLevel.DATA
    types: tuple[str, ...] = ()

    @property
    def allows_code(self) -> bool:
        """Whether files may run code while they are loaded."""
        return self.level is TrustLevel.CODE

    def require_code(self, what: str) -> None:
        """Let only a policy pass that allows code.

        Args:
            what: The file or model that would run code, as the subject of the message.

        Raises:
            Untrusted: The policy does not allow it.
        """
        if not self.allows_code:
            raise Untrusted(
                f"{what} is not loaded (it could run any code and the trust level is '{self.level}'); "
                'if you know who made it, load it with trust="code" or --trust code'
            )

    def require_types(self, what: str, names: Iterable[str]) -> None:
        """Let only a policy pass that names all these types or allows code.

        Raises:
            Untrusted: At least one is not allowed; all of those are named.
        """
        missing = sorted(set(names) - set(self.types))
        if missing and not self.allows_code:
            listed = ", ".join(repr(name) for name in missing)
            raise Untrusted(
                f"{what} is not loaded (it holds types that nobody vouched for: {listed}); "
                f"if you know them, load it with trust=[{listed}]"
            )


Trust: TypeAlias = str | Sequence[str] | TrustPolicy | None
Substitute: TypeAlias = Callable[[str, str], Any]

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def policy_from(trust: Trust) -> TrustPolicy:
    """Turn what a caller gives as ``trust`` into a policy.

    Args:
        trust: None for data only, ``"code"`` for anything, or the dotted names of the types that may be loaded.

    Raises:
        InvalidInput: It is none of these.
    """
    if trust is None:
        return TrustPolicy()
    if isinstance(trust, TrustPolicy):
        return trust
    if trust == "code":
        return TrustPolicy(TrustLevel.CODE)
    names = None if isinstance(trust, str) or not isinstance(trust, Sequence) else tuple(trust)
    if names is None or not all(isinstance(name, str) and _DOTTED.fullmatch(name) for name in names):
        raise InvalidInput(
            f'trust {trust!r} cannot be used; give "code" or a list of dotted names of types '
            'such as ["my_package.scaling.LogScaler"]'
        )
    return TrustPolicy(TrustLevel.TYPES, names)


def load_pickle(path: Path, policy: TrustPolicy, *, substitute: Substitute | None = None) -> Any:
    """Unpickle a file: the only place where that happens.

    Args:
        path: The file.
        policy: What the caller allows.
        substitute: Asked for each module and name that the pickle wants; what it returns, unless None, is used instead.

    Raises:
        Untrusted: The policy does not allow code; not a byte of the file was read then.
        RatoonError: It cannot be unpickled here, for example because a module is missing.
    """
    policy.require_code(f"pickle file '{path}'")
    try:
        with path.open("rb") as file:
            return _Unpickler(file, substitute).load()
    except ImportError as error:
        raise RatoonError(
            f"pickle file '{path}' cannot be loaded (no module named {error.name!r} here); "
            "install what the model's requirements.txt lists and the code that it was made with"
        ) from error
    except RatoonError:
        raise
    except Exception as error:  # unpickling calls into any class, which may raise anything
        raise RatoonError(
            f"pickle file '{path}' cannot be loaded ({type(error).__name__}: {error}); "
            "install the versions that the model's requirements.txt lists, or save the model again"
        ) from error


def save_pickle(value: object, path: Path, *, by_value: Iterable[ModuleType] = ()) -> str:
    """Write an object with cloudpickle.

    Args:
        value: The object.
        path: Where to.
        by_value: Modules whose classes and functions are written out, so that nobody who loads needs the modules.

    Returns:
        The version of cloudpickle.

    Raises:
        InvalidInput: It holds something that cannot be pickled.
    """
    import cloudpickle

    modules = [module for module in by_value if module.__name__ not in cloudpickle.list_registry_pickle_by_value()]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        content: bytes = cloudpickle.dumps(value)
    except Exception as error:  # pickling calls into any class, which may raise anything
        raise InvalidInput(
            f"model of type '{type(value).__qualname__}' cannot be saved ({type(error).__name__}: {error}); "
            "keep open files, connections and locks out of it"
        ) from error
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
    path.write_bytes(content)
    return str(cloudpickle.__version__)


class _Unpickler(pickle.Unpickler):
    """Reads a pickle with other things in place of some that it names."""

    def __init__(self, file: BinaryIO, substitute: Substitute | None) -> None:
        super().__init__(file)
        self._substitute = substitute

    def find_class(self, module: str, name: str) -> Any:
        found = self._substitute(module, name) if self._substitute else None
        return super().find_class(module, name) if found is None else found
