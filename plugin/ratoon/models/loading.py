"""How a folder becomes a model again: verify, read, choose a flavor, ask the policy, load.

Nothing heavy is imported here: which libraries are needed is the flavor's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pluggy

from ratoon.errors import Corrupt, InvalidInput, MissingExtra, RatoonError
from ratoon.models.digests import MANIFEST, verify_manifest
from ratoon.models.flavor import Flavor
from ratoon.models.flavors import GENERIC, registered_flavors
from ratoon.models.mlmodel import ModelInfo, read_mlmodel
from ratoon.models.signature import Signature
from ratoon.models.trust import Trust, policy_from

# MLflow's mark of a model whose signature it has read from the hints of its function.
FROM_TYPE_HINT = "is_signature_from_type_hint"


class LoadedModel:
    """A model that can be called.

    Attributes:
        native: The object that was saved, an estimator for example.
        info: What its MLmodel file says.
        signature: What it takes and returns; None if nobody said so when it was saved.
        flavor_name: The flavor that loaded it.
        verified: Whether its files had digests and fit them; False for a model that MLflow saved.
    """

    def __init__(self, native: Any, info: ModelInfo, flavor_name: str, flavor: Flavor, *, verified: bool) -> None:
        self.native = native
        self.info = info
        self.signature = None if info.signature is None else Signature.from_mlflow(info.signature)
        self.flavor_name = flavor_name
        self.verified = verified
        self._flavor = flavor

    def __repr__(self) -> str:
        return f"<LoadedModel of flavor {self.flavor_name!r}: {type(self.native).__qualname__}>"

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Bring the data into the form of the signature and call the model.

        Args:
            data: A DataFrame, a list of records, a dict of lists or an array; anything without a signature. A Spark
                DataFrame is given to the model as it is, for Spark checks its columns itself.
            params: What the model takes beside its data.

        Raises:
            InvalidInput: The data does not fit the signature.
        """
        if self.signature is not None:
            data = data if _is_of_spark(data) else self._fitted(data)
            params = self.signature.enforce_params(params)
        return self._flavor.predict(self.native, data, params)

    def _fitted(self, data: Any) -> Any:
        """The data in the form of the signature; as a list, where it was written as ``list[...]`` in a type hint."""
        assert self.signature is not None
        fitted = self.signature.enforce(data)
        if self.info.extra.get(FROM_TYPE_HINT) and getattr(fitted, "ndim", 0) == 2 and fitted.shape[1] == 1:
            return fitted.iloc[:, 0].tolist()
        return fitted


def load_folder(folder: Path, *, manager: pluggy.PluginManager, trust: Trust = None) -> LoadedModel:
    """Load a model that ratoon or MLflow saved.

    Args:
        folder: It has an MLmodel file.
        manager: Who knows the flavors.
        trust: None for formats that run no code, ``"code"`` for any, or the names of types that may be loaded, too.

    Raises:
        InvalidInput: The folder is no model, no installed flavor reads it, or ``trust`` cannot be used.
        Corrupt: A file is not what was saved.
        Untrusted: Loading would run code, or make types, that ``trust`` does not allow.
    """
    policy = policy_from(trust)
    if not folder.is_dir():
        raise InvalidInput(f"folder '{folder}' does not exist; give the folder that a model was saved in")
    verified = verify_manifest(folder)
    info = read_mlmodel(folder)
    if info.ratoon is not None and not verified:
        raise Corrupt(f"file '{MANIFEST}' of the model in '{folder}' is missing; fetch or save the model again")
    name, flavor = _reader(info, folder, registered_flavors(manager))
    try:
        native = flavor.load(folder, info.flavors[name], policy)
    except ImportError as error:
        raise _missing(name, error) from error
    return LoadedModel(native, info, name, flavor, verified=verified)


def _missing(flavor_name: str, error: ImportError) -> RatoonError:
    """What to tell where a flavor let an ImportError through: a library is not there, or is broken."""
    top = (error.name or "").partition(".")[0]
    if top and find_spec(top) is None:
        return MissingExtra(f"the flavor {flavor_name!r}", flavor_name, top)
    return RatoonError(
        f"model of flavor {flavor_name!r} cannot be loaded ({error}); install what its requirements.txt lists"
    )


def _is_of_spark(data: object) -> bool:
    return type(data).__module__.startswith("pyspark.sql.")


def _reader(info: ModelInfo, folder: Path, flavors: Mapping[str, Flavor]) -> tuple[str, Flavor]:
    """The flavor that reads the model: the library's own before the generic one."""
    for name in sorted(info.flavors, key=lambda name: name == GENERIC):
        if name in flavors:
            return name, flavors[name]
    raise InvalidInput(
        f"model in '{folder}' cannot be loaded (its flavors are {', '.join(map(repr, info.flavors)) or 'none'}, "
        f"known are {', '.join(map(repr, flavors))}); install a plugin with one of its flavors"
    )
